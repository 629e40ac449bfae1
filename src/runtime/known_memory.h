// The memory that a communicator's transports know beforehand: what it allocated, and what its user
// registered.
//
// Lifetime: the communicator and the handles of that memory (Memory, RegisteredMemory) share it;
// the communicator says when it ends, and handles that live longer find nothing to do. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "transport/transport.h"
#include "tutti/status.h"

namespace tutti::runtime {

class KnownMemory {
 public:
  enum class Origin : std::uint8_t { allocated, registered };

  // The communicator has these transports now, which it borrows until end().
  void begin(std::vector<transport::Transport*> transports);
  void end() noexcept;

  // invalid_argument for bytes that there cannot be or that overlap known ones, unavailable when a
  // transport cannot have them: nothing is known of them then. REQUIRES: bytes > 0.
  Status add(const void* data, std::size_t bytes, Origin origin);
  // What was added at that address; nothing after an add() that failed, or after end().
  void remove(const void* data) noexcept;

 private:
  struct Range {
    std::size_t bytes = 0;
    Origin origin = Origin::registered;
  };
  Status check(std::uintptr_t begin, std::size_t bytes) const;

  std::mutex mutex_;
  std::vector<transport::Transport*> transports_;
  std::map<std::uintptr_t, Range> ranges_;  // by where they begin
};

}  // namespace tutti::runtime
