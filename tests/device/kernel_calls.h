// Ways of calling a kernel: counts, addresses, aliases and stores. Plain values; not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "device/reduce.h"
#include "device/reduce_reference.h"

namespace tutti::test {

// A buffer that ends where its allocation ends, so that a sanitizer sees every read or write past
// it, and begins `misalignment` bytes past an aligned address.
class Buffer {
 public:
  Buffer(const Bytes& content, std::size_t bytes, std::size_t misalignment)
      : storage_(kGuard + misalignment + bytes, std::byte{0xa5}), begin_(kGuard + misalignment) {
    std::copy_n(content.begin(), bytes, storage_.begin() + static_cast<std::ptrdiff_t>(begin_));
  }
  std::byte* data() { return storage_.data() + begin_; }
  bool guard_is_intact() const {
    const auto guard_end = storage_.begin() + static_cast<std::ptrdiff_t>(begin_);
    return std::all_of(storage_.begin(), guard_end,
                       [](std::byte byte) { return byte == std::byte{0xa5}; });
  }

 private:
  static constexpr std::size_t kGuard = 64;
  Bytes storage_;
  std::size_t begin_;
};

enum class Alias : std::uint8_t { none, first, last };

// One way to call a kernel.
struct Call {
  std::size_t count;
  std::array<std::size_t, 3> misalignments;  // of dst, and of the sources in turn
  Alias alias;
  device::Store store;
};

inline std::string text_of(const Call& call) {
  return "count " + std::to_string(call.count) + ", misalignments " +
         std::to_string(call.misalignments[0]) + " " + std::to_string(call.misalignments[1]) + " " +
         std::to_string(call.misalignments[2]) + ", alias " +
         std::to_string(static_cast<int>(call.alias)) + ", store " +
         std::to_string(static_cast<int>(call.store));
}

// Calls `kernel(dst, sources)` as described; true when dst has the first bytes of `expected` and
// nothing else has changed.
template <typename Kernel>
bool agrees(const Call& call, std::size_t size, const std::vector<Bytes>& contents,
            const Bytes& expected, Kernel kernel) {
  const std::size_t bytes = call.count * size;
  std::vector<Buffer> buffers;
  std::vector<const void*> sources;
  for (std::size_t k = 0; k < contents.size(); ++k) {
    buffers.emplace_back(contents[k], bytes, call.misalignments[1 + k % 2]);
  }
  for (Buffer& buffer : buffers) sources.push_back(buffer.data());
  Buffer separate(Bytes(bytes, std::byte{0x5a}), bytes, call.misalignments[0]);
  Buffer& dst = call.alias == Alias::none    ? separate
                : call.alias == Alias::first ? buffers.front()
                                             : buffers.back();
  kernel(dst.data(), sources);
  bool good = bytes == 0 || std::memcmp(dst.data(), expected.data(), bytes) == 0;
  for (std::size_t k = 0; k < buffers.size(); ++k) {
    const bool unchanged =
        bytes == 0 || std::memcmp(buffers[k].data(), contents[k].data(), bytes) == 0;
    good = good && buffers[k].guard_is_intact() && (&buffers[k] == &dst || unchanged);
  }
  return good && separate.guard_is_intact();
}

// All the ways of calling a kernel with `count` elements of `size` bytes.
inline std::vector<Call> calls_of(std::size_t count, std::size_t size) {
  std::vector<Call> calls;
  const std::array<std::size_t, 3> misalignments[] = {
      {0, 0, 0}, {1, 3, 7}, {size, 2 * size, 5 * size}, {16, 0, 32}};
  for (const auto& misalignment : misalignments) {
    for (const Alias alias : {Alias::none, Alias::first, Alias::last}) {
      for (const device::Store store : {device::Store::cached, device::Store::streaming}) {
        calls.push_back({count, misalignment, alias, store});
      }
    }
  }
  return calls;
}

}  // namespace tutti::test
