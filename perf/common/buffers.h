// The send and receive buffers of one rank. A resource; thread-compatible.
//
// Each iteration uses the next window of the buffers, so that small messages are not always in the
// nearest cache, as nccl-tests does. Guard bytes lie before and after every window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "tutti/status.h"

namespace tutti::perf {

class Buffers {
 public:
  // Memory that begins at a page, with whatever else goes when it goes.
  using Memory = std::unique_ptr<std::byte, std::function<void(std::byte*)>>;
  using Source = std::function<Result<Memory>(std::size_t bytes)>;

  // Room for messages of `max_bytes` that start `offset_bytes` after an aligned address.
  static Result<Buffers> create(std::int64_t max_bytes, std::int64_t offset_bytes,
                                const Source& source = private_memory);
  // Of this process alone, not initialized.
  static Result<Memory> private_memory(std::size_t bytes);

  // The window of iteration `i` for messages of `bytes`.
  std::span<std::byte> send(std::int64_t i, std::int64_t bytes) {
    return window(send_.get(), i, bytes);
  }
  std::span<std::byte> recv(std::int64_t i, std::int64_t bytes) {
    return window(recv_.get(), i, bytes);
  }
  // Both buffers in full, guards included, for setting every page and byte.
  std::span<std::byte> whole_send() { return {send_.get(), total_bytes_}; }
  std::span<std::byte> whole_recv() { return {recv_.get(), total_bytes_}; }

  // Marks the receive window of iteration 0 and its guards; then, after an operation, counts the
  // guard bytes that it changed.
  void poison(std::int64_t bytes);
  std::int64_t damaged_guard_bytes(std::int64_t bytes);

 private:
  Buffers(Memory send, Memory recv, std::int64_t room, std::int64_t offset, std::size_t total)
      : send_(std::move(send)),
        recv_(std::move(recv)),
        room_bytes_(room),
        offset_bytes_(offset),
        total_bytes_(total) {}
  std::span<std::byte> window(std::byte* memory, std::int64_t i, std::int64_t bytes) const;
  std::span<std::byte> guarded(std::int64_t bytes);

  Memory send_;
  Memory recv_;
  std::int64_t room_bytes_;
  std::int64_t offset_bytes_;  // from the start of the memory to the first window
  std::size_t total_bytes_;
};

}  // namespace tutti::perf
