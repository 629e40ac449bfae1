// Transports: what connects pairs of ranks. This is the cold side; ports are the hot one.
//
// A transport is one folder that implements Transport and passes the shared conformance suite
// (tests/transport/conformance). Caps are data: the executor looks at them, nothing throws.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "transport/port.h"
#include "tutti/status.h"

namespace tutti::transport {

struct Caps {
  std::size_t slot_bytes = 0;  // largest message
  int slots = 0;               // messages of any size in flight per port, at least: the credits
  // From this size on SendPort::send_from beats a copy into the window; 0: it cannot be used.
  std::size_t borrow_bytes = 0;
};

// Both directions of every lane between this rank and one peer. Destroying a link closes it in good
// order: the peer still receives what was committed and flushed, then sees PortState::closed.
class Link {
 public:
  virtual ~Link() = default;
  virtual SendPort& send_port(int lane) = 0;
  virtual RecvPort& recv_port(int lane) = 0;
  virtual const Caps& caps() const = 0;
  // Makes memory of the caller ready for SendPort::send_from, or finds it ready; null when that is
  // impossible, and then windows are the way. Give it back with release() once flush() is true.
  virtual const Registration* acquire(const void* /*data*/, std::size_t /*bytes*/) {
    return nullptr;
  }
  virtual void release(const Registration* /*memory*/) {}
  // Descriptors whose readiness ends a wait for this link, with the events to poll for. Links that
  // ring the host's doorbell add none.
  virtual void add_poll_fds(std::vector<pollfd>& fds) = 0;
  // Cold: why a port is broken, for example "connection reset by peer (errno 104)".
  virtual std::string_view broken_reason() const = 0;
  // Is it memory that this rank passed, and not the peer or what lies between?
  virtual bool own_fault() const { return false; }
};

class Transport {
 public:
  virtual ~Transport() = default;
  // "loopback", "shm", "tcp"
  virtual std::string_view name() const = 0;
  // May this pair be joined by this transport? Both sides know the same answer.
  virtual bool reaches(int peer) const = 0;
  // Called by both ranks of the pair. REQUIRES: reaches(peer), lanes >= 1.
  virtual Result<std::unique_ptr<Link>> connect(int peer, int lanes, Deadline deadline) = 0;
  // The owner of memory promises that it stays mapped until forget(): links then find it ready in
  // acquire(), whatever kind of memory it is. Unavailable when that cannot be; a transport that
  // would gain nothing does nothing. Any thread. REQUIRES: bytes > 0, and no overlap.
  virtual Status keep(const void* /*data*/, std::size_t /*bytes*/) { return {}; }
  // What begins at `data`, if it is kept.
  virtual void forget(const void* /*data*/) noexcept {}
};

}  // namespace tutti::transport
