#include "common/buffers.h"

#include <algorithm>
#include <new>

#include "base/error.h"

namespace tutti::perf {
namespace {

constexpr std::int64_t kPageBytes = 4096;
constexpr std::align_val_t kPageAlignment{kPageBytes};
constexpr std::int64_t kLineBytes = 64;
constexpr std::int64_t kGuardBytes = 64;
constexpr std::byte kPoison{0xa5};

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

Result<Buffers::Memory> Buffers::private_memory(std::size_t bytes) {
  void* const memory = ::operator new(bytes, kPageAlignment, std::nothrow);
  if (memory == nullptr) return error(Code::unavailable, "there is too little memory");
  return Memory(static_cast<std::byte*>(memory),
                [](std::byte* at) { ::operator delete(at, kPageAlignment); });
}

Result<Buffers> Buffers::create(std::int64_t max_bytes, std::int64_t offset_bytes,
                                const Source& source) {
  // The first window is aligned to a cache line, then shifted as the caller asks.
  const std::int64_t offset = kGuardBytes + offset_bytes;
  const std::int64_t room = round_up(max_bytes, kLineBytes);
  const auto total = static_cast<std::size_t>(round_up(offset + room + kGuardBytes, kPageBytes));
  Result<Memory> send = source(total);
  Result<Memory> recv = source(total);
  for (const Result<Memory>* one : {&send, &recv}) {
    if (one->ok()) continue;
    return error(one->status().code(),
                 "cannot have two buffers of {} bytes: {}; give a smaller --maxbytes", total,
                 one->status().message());
  }
  return Buffers(*std::move(send), *std::move(recv), room, offset, total);
}

std::span<std::byte> Buffers::window(std::byte* memory, std::int64_t i, std::int64_t bytes) const {
  const std::int64_t stride = round_up(bytes, kLineBytes);
  const std::int64_t windows = stride == 0 ? 1 : room_bytes_ / stride;
  return {memory + offset_bytes_ + i % windows * stride, static_cast<std::size_t>(bytes)};
}

std::span<std::byte> Buffers::guarded(std::int64_t bytes) {
  return {recv(0, bytes).data() - kGuardBytes, static_cast<std::size_t>(bytes + 2 * kGuardBytes)};
}

void Buffers::poison(std::int64_t bytes) {
  std::ranges::fill(guarded(bytes), kPoison);
}

std::int64_t Buffers::damaged_guard_bytes(std::int64_t bytes) {
  const auto all = guarded(bytes);
  const auto damaged = [](std::span<std::byte> guard) {
    return std::ranges::count_if(guard, [](std::byte byte) { return byte != kPoison; });
  };
  return damaged(all.first(kGuardBytes)) + damaged(all.last(kGuardBytes));
}

}  // namespace tutti::perf
