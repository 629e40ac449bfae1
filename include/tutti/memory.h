// Memory that a communicator's transports reach directly: allocated by it, or registered with it.
//
// Optional: every call takes any memory. What differs is the copying: ranks of one host can read
// and write each other's allocated memory where it lies, and network devices send from allocated
// and registered memory. Results are the same bit for bit.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "tutti/export.h"

namespace tutti {

// Owns an allocation (Communicator::allocate). Movable. Threads: as any value. Destroy it when no
// operation of this or another rank uses it, which is so once the calls that it took part in have
// returned, with success or an error; it may outlive the communicator. Nothing of it outlives the
// ranks of this host; of a process that ended without destroying it, the pages stay as long as
// other ranks of the host keep the communicator or memory of it. After fork() parent and child
// share it.
class TUTTI_API Memory {
 public:
  Memory() noexcept;  // nothing: no bytes
  // What was moved from has no bytes.
  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;
  ~Memory();

  // Allocations start at a page and are zero at first. Null when there are no bytes.
  void* data() const noexcept;
  std::size_t bytes() const noexcept;
  // The same as elements; what is left over at the end is not among them.
  template <typename T>
  std::span<T> as() const noexcept {
    return {static_cast<T*>(data()), bytes() / sizeof(T)};
  }

  // For the library itself.
  struct State;
  // For the library itself.
  explicit Memory(std::unique_ptr<State> state) noexcept;

 private:
  std::unique_ptr<State> state_;
};

// Owns a registration (Communicator::register_memory) of memory that is the caller's and stays it.
// Movable. Threads: as any value. Destroy it before the memory is unmapped or freed, and when no
// operation uses the memory. It may outlive the communicator, with which the registration ends.
class TUTTI_API RegisteredMemory {
 public:
  RegisteredMemory() noexcept;  // of nothing: no bytes
  // What was moved from has no bytes.
  RegisteredMemory(RegisteredMemory&&) noexcept;
  RegisteredMemory& operator=(RegisteredMemory&&) noexcept;
  ~RegisteredMemory();

  // What was registered. Null when there are no bytes.
  const void* data() const noexcept;
  std::size_t bytes() const noexcept;

  // For the library itself.
  struct State;
  // For the library itself.
  explicit RegisteredMemory(std::unique_ptr<State> state) noexcept;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace tutti
