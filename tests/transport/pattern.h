// Data that shows where it went wrong: a pseudo-random stream keyed by seed and message number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace tutti::transport {

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): any two keys give unrelated words.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

inline void fill_pattern(std::span<std::byte> bytes, std::uint64_t key) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = mix(key ^ mix(at));
    std::memcpy(bytes.data() + at, &word, std::min(sizeof word, bytes.size() - at));
  }
}

// The tag that goes with the pattern: all 64 bits matter.
constexpr std::uint64_t pattern_tag(std::uint64_t key) {
  return mix(~key);
}

// Offset of the first word that differs from the pattern, or -1.
inline std::ptrdiff_t find_damage(std::span<const std::byte> bytes, std::uint64_t key) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = mix(key ^ mix(at));
    if (std::memcmp(bytes.data() + at, &word, std::min(sizeof word, bytes.size() - at)) != 0) {
      return static_cast<std::ptrdiff_t>(at);
    }
  }
  return -1;
}

// A small generator for sizes and delays; a value.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  // In [0, bound).
  std::uint64_t below(std::uint64_t bound) { return mix(state_++) % bound; }

 private:
  std::uint64_t state_;
};

}  // namespace tutti::transport
