// Ports: what a transport is to the executor.
//
// A port is one ordered, reliable, one-way path between two ranks. Messages keep their boundaries
// and never exceed the link's slot_bytes. Each carries a tag, 64 bits that arrive unchanged: what
// the message is part of, so that ranks whose calls do not match find out where their data first
// meets. Nothing here blocks, allocates or builds text. A port belongs to one thread at a time; its
// other end lives in another thread or process.
//
// Memory of the caller that was sent from or offered is used by calls of the port alone, and
// destroying the link is none: who has failed calls nothing any more and may free it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tutti::transport {

enum class PortState : std::uint8_t {
  open,
  closed,  // the peer closed in good order and everything it sent was received
  broken,  // the connection failed or the peer died
};

// Memory of the caller that a transport can send from without a copy: see Link::acquire().
class Registration {
 protected:
  ~Registration() = default;
};

class SendPort {
 public:
  virtual ~SendPort() = default;
  // A window for one message of `bytes` (at most slot_bytes), or data() == nullptr while there is
  // no credit. A window of 0 bytes has a non-null data(). Calling again before commit gives the
  // same window, or a larger one elsewhere.
  virtual std::span<std::byte> reserve(std::size_t bytes) = 0;
  // Sends the first `bytes` of the reserved window as one message.
  virtual void commit(std::size_t bytes, std::uint64_t tag) = 0;
  // Sends `bytes` out of the caller's memory, which lies within `memory` and stays as it is until
  // flush() is true. False while there is no credit. Only where Caps::borrow_bytes is not 0.
  virtual bool send_from(std::span<const std::byte> /*bytes*/, const Registration& /*memory*/,
                         std::uint64_t /*tag*/) {
    return false;
  }
  // True when nothing that was sent still waits in this process or is read from the caller's
  // memory; tries to move it on.
  virtual bool flush() = 0;
  // Messages that were sent so far. Only over shared memory, as the next.
  virtual std::uint64_t sent_messages() const { return 0; }
  // True when the receiver has released the first so many: what they say about other memory has
  // been read too.
  virtual bool released(std::uint64_t /*messages*/) { return flush(); }
  virtual PortState state() const = 0;
};

class RecvPort {
 public:
  virtual ~RecvPort() = default;
  // Offers memory for the next message, if it has exactly so many bytes: a port that can receive
  // there spares a copy, and peek() shows the message there. It writes nowhere else. Ends with
  // release(); until then the same memory may be offered again, and no other.
  virtual void offer(std::span<std::byte> /*place*/) {}
  // The next message whole, or data() == nullptr while none is there. Stays valid, and is returned
  // again, until release.
  virtual std::span<const std::byte> peek() = 0;
  // Of the message that peek() shows. REQUIRES: the last peek() found one, not yet released.
  virtual std::uint64_t tag() const = 0;
  // Gives the message's credit back to the sender.
  virtual void release() = 0;
  virtual PortState state() const = 0;
};

}  // namespace tutti::transport
