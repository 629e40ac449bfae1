// A program bound to ports: what the executor runs. Made once per shape, then only read.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/deadline.h"
#include "collectives/algorithms.h"
#include "plan/program.h"
#include "transport/card.h"
#include "transport/transport.h"
#include "tutti/status.h"

namespace tutti::runtime {

// The links of one rank, connected when first needed. Not thread-safe.
class Links {
 public:
  // Transports are borrowed, best first. `stop` is asked while connecting and ends it with its
  // error.
  Links(std::vector<transport::Transport*> transports, int lanes, std::int64_t connect_timeout_ms)
      : transports_(std::move(transports)),
        lanes_(lanes),
        connect_timeout_ms_(connect_timeout_ms) {}

  // The transport that joins `peer`, or, before it is connected, the first that reaches it; null
  // when there is none.
  transport::Transport* transport_to(int peer) const;
  // Collective over the pair. A transport that turns out to be unavailable, which both ends find
  // alike, is passed over for the next one with a notice.
  Result<transport::Link*> link(int peer);
  // The link, if it is connected, or null.
  transport::Link* joined(int peer) const {
    const auto index = static_cast<std::size_t>(peer);
    return index < joined_.size() ? joined_[index] : nullptr;
  }
  int lanes() const { return lanes_; }
  // Best first.
  const std::vector<transport::Transport*>& transports() const { return transports_; }

 private:
  std::vector<transport::Transport*> transports_;
  int lanes_;
  std::int64_t connect_timeout_ms_;
  struct Joined {
    transport::Transport* transport = nullptr;
    std::unique_ptr<transport::Link> link;
  };
  std::map<int, Joined> links_;
  std::vector<transport::Link*> joined_;  // by peer
};

// One step's port in one lane; which of the two is set follows from the step's op.
union StepPort {
  transport::SendPort* send;
  transport::RecvPort* recv;
};

// Whether and when a step may send straight out of the caller's buffer.
struct Borrow {
  std::size_t bytes = 0;  // messages of this size and more gain from it; 0: never
  bool in_place = false;  // in place too: nothing overwrites what it sends
};

struct Binding {
  const collectives::Algorithm* algorithm = nullptr;
  plan::Program program;
  std::size_t slot_bytes = 0;                // the smallest of the links'
  std::vector<std::vector<StepPort>> ports;  // [lane][step]
  std::vector<Borrow> borrows;               // [step]
  // Registers the caller's buffers for steps that borrow; null when none does.
  transport::Link* lender = nullptr;
  std::size_t borrow_bytes = 0;  // of the lender
  struct Sender {
    transport::SendPort* port;
    int peer;
  };
  std::vector<Sender> senders;  // all lanes' distinct ports: flushed before a call returns
  std::map<int, transport::Link*> links;  // by peer
};

// Builds the program of `rank` and connects its peers, lower ranks first.
Result<std::unique_ptr<Binding>> bind(const collectives::Algorithm& algorithm, int rank,
                                      const plan::Shape& shape, Links& links);

}  // namespace tutti::runtime
