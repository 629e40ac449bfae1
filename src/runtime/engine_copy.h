// Copies of the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/reduce.h"
#include "runtime/crew.h"
#include "runtime/engine_area.h"

namespace tutti::runtime {

// Small copies are not worth a choice among instruction sets.
inline void copy_block(void* dst, const void* src, std::int64_t bytes, device::Store store) {
  constexpr std::int64_t kSmallBytes = 256;
  if (bytes <= 0) return;
  if (bytes <= kSmallBytes) {
    std::memcpy(dst, src, static_cast<std::size_t>(bytes));
  } else {
    device::copy(dst, src, static_cast<std::size_t>(bytes), store);
  }
}

constexpr device::Store store_for(std::int64_t bytes) {
  return bytes >= kEngineStreamingBytes ? device::Store::streaming : device::Store::cached;
}

// What a thread copies at a time where several do: some microseconds of work.
inline constexpr std::int64_t kCopyShareBytes = 64 << 10;

inline std::byte* at(void* base, std::int64_t offset) {
  return static_cast<std::byte*>(base) + offset;
}
inline const std::byte* at(const void* base, std::int64_t offset) {
  return static_cast<const std::byte*>(base) + offset;
}

// By the whole crew.
inline void copy_block(Crew& crew, void* dst, const void* src, std::int64_t bytes,
                       device::Store store) {
  crew.divide(bytes, kCopyShareBytes, [&](int, std::int64_t begin, std::int64_t n) {
    copy_block(at(dst, begin), at(src, begin), n, store);
  });
}

}  // namespace tutti::runtime
