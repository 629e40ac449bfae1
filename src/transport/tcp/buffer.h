// Memory that messages are sent from and received in: aligned for any element type and for the
// cache.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace tutti::transport {

inline constexpr std::size_t kBufferAlignment = 64;

struct AlignedDelete {
  void operator()(std::byte* bytes) const {
    ::operator delete[](bytes, std::align_val_t{kBufferAlignment});
  }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;

// Not filled: pages that are never used cost no memory.
inline AlignedBytes allocate_aligned(std::size_t bytes) {
  return AlignedBytes(
      static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{kBufferAlignment})));
}

}  // namespace tutti::transport
