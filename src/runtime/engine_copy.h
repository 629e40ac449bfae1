// Copies of the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/reduce.h"

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

inline std::byte* at(void* base, std::int64_t offset) {
  return static_cast<std::byte*>(base) + offset;
}
inline const std::byte* at(const void* base, std::int64_t offset) {
  return static_cast<const std::byte*>(base) + offset;
}

}  // namespace tutti::runtime
