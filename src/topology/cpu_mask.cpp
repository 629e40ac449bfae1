// Sets of CPUs: the hexadecimal masks of NCCL and hwloc, and the lists that people and sysfs write.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <vector>

#include "topology/build.h"

namespace tutti::topology {
namespace {

constexpr std::size_t kWordBits = 32;
constexpr std::size_t kCpusMax = 65536;

// Words from the least significant on; false if the text is no mask.
bool words_of(std::string_view mask, std::vector<std::uint32_t>& words) {
  while (true) {
    const std::size_t comma = mask.rfind(',');
    std::string_view word = comma == std::string_view::npos ? mask : mask.substr(comma + 1);
    if (word.starts_with("0x")) {
      word.remove_prefix(2);
    }
    std::uint32_t value = 0;
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
    if (failure == std::errc::result_out_of_range || end != word.data() + word.size() ||
        words.size() * kWordBits >= kCpusMax) {
      return false;
    }
    words.push_back(value);
    if (comma == std::string_view::npos) {
      return true;
    }
    mask = mask.substr(0, comma);
  }
}

}  // namespace

std::string cpus_of_mask(std::string_view mask) {
  std::vector<std::uint32_t> words;
  if (!words_of(mask, words)) {
    return {};
  }
  const auto has = [&](std::size_t cpu) {
    return cpu < words.size() * kWordBits && (words[cpu / kWordBits] >> (cpu % kWordBits) & 1) != 0;
  };
  std::string list;
  for (std::size_t cpu = 0; cpu < words.size() * kWordBits; ++cpu) {
    if (!has(cpu)) {
      continue;
    }
    const std::size_t first = cpu;
    while (has(cpu + 1)) {
      ++cpu;
    }
    list += list.empty() ? "" : ",";
    list += first == cpu ? fmt::format("{}", first) : fmt::format("{}-{}", first, cpu);
  }
  return list;
}

std::string mask_of_cpus(std::string_view cpus) {
  std::vector<std::uint32_t> words(1);
  const char* at = cpus.data();
  const char* const end = cpus.data() + cpus.size();
  while (at != end) {
    std::size_t first = 0;
    at = std::from_chars(at, end, first).ptr;
    std::size_t last = first;
    if (at != end && *at == '-') {
      at = std::from_chars(at + 1, end, last).ptr;
    }
    last = std::min(last, kCpusMax - 1);
    words.resize(std::max(words.size(), last / kWordBits + 1));
    for (std::size_t cpu = first; cpu <= last; ++cpu) {
      words[cpu / kWordBits] |= std::uint32_t{1} << (cpu % kWordBits);
    }
    at = at == end ? end : at + 1;
  }
  std::string mask;
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    mask += fmt::format("{}{:08x}", mask.empty() ? "" : ",", *word);
  }
  return mask;
}

}  // namespace tutti::topology
