// Memory that a communicator's transports reach directly.
//
// Optional: every call takes any memory. What differs is that data in it need not be copied into a
// transport's own memory first: peers on the same host read it where it lies, and RDMA devices are
// told about it once.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "tutti/export.h"

namespace tutti {

// Owns an allocation (Communicator::allocate), or a registration of the caller's own memory
// (Communicator::register_memory). Movable. Threads: as any value. Destroy it when no operation
// uses it; before or after the communicator.
class TUTTI_API Memory {
 public:
  Memory() noexcept;  // nothing: no bytes
  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;
  ~Memory();

  // Allocations start at a page and are zero at first.
  void* data() const noexcept;
  std::size_t bytes() const noexcept;
  template <typename T>
  std::span<T> as() const noexcept {
    return {static_cast<T*>(data()), bytes() / sizeof(T)};
  }

  struct State;
  explicit Memory(std::unique_ptr<State> state) noexcept;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace tutti
