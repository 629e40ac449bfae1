// The cold side of the executor: what a wait is for, and what went wrong.

#include "base/error.h"
#include "base/try.h"
#include "runtime/connection_lost.h"
#include "runtime/executor.h"
#include "runtime/tag.h"
#include "runtime/unexpected.h"

namespace tutti::runtime {

using plan::Op;
using plan::Step;

Result<int> Executor::blocked_on() const {
  int peer = -1;
  for (int index = 0; index < lanes_used_; ++index) {
    const Lane& lane = lanes_[static_cast<std::size_t>(index)];
    if (lane.tile >= tiling_.tiles()) continue;
    const Step& step = binding_->program.steps[lane.step];
    const StepPort port = binding_->ports[static_cast<std::size_t>(index)][lane.step];
    if (step.op != Op::send) {
      const transport::PortState state = port.recv->state();
      // Who has left in good order was through with the call.
      if (pairs_differ_ && state == transport::PortState::closed) {
        return unexpected_count(*call_, rank_, step.peer, expected_count(step.peer));
      }
      TUTTI_TRY(port_error(state, step.peer));
    }
    if (peer < 0) peer = step.peer;
  }
  for (const auto& sender : binding_->senders) {
    // Who has left in good order had all of its own.
    const transport::PortState state = sender.port->state();
    const bool left = state == transport::PortState::closed && sender.port->flush();
    if (left && !sends_more(*sender.port)) continue;
    TUTTI_TRY(port_error(state, sender.peer));
    if (peer < 0) peer = sender.peer;
  }
  return peer;
}

// Is there a message for the port that has not been sent?
bool Executor::sends_more(const transport::SendPort& port) const {
  const std::vector<Step>& steps = binding_->program.steps;
  for (int index = 0; index < lanes_used_; ++index) {
    Lane lane = lanes_[static_cast<std::size_t>(index)];
    for (; lane.tile < tiling_.tiles(); lane.tile += lanes_used_, lane.step = 0) {
      for (std::size_t i = lane.step; i < steps.size(); ++i) {
        const bool here = steps[i].op == Op::send &&
                          binding_->ports[static_cast<std::size_t>(index)][i].send == &port;
        if (here && message_bytes(lane, i, message_end(i)) > 0) return true;
      }
    }
  }
  return false;
}

Status Executor::port_error(transport::PortState state, int peer) const {
  if (state == transport::PortState::open) return {};
  return connection_lost(rank_, peer,
                         fmt::format("operation {} ({})", call_->sequence, describe(*call_)),
                         *binding_->links.at(peer));
}

std::int64_t Executor::expected_count(int sender) const {
  return operation_->recv_blocks.counts[static_cast<std::size_t>(sender)];
}

Status Executor::unexpected(const Step& step, std::uint64_t tag, std::size_t bytes,
                            std::size_t expected_bytes) const {
  if ((tag & kPointToPoint) != 0) return met_send(*call_, rank_, step.peer, tag);
  const std::uint64_t theirs = sequence_of_tag(tag, call_->sequence);
  const auto count = static_cast<std::int64_t>(bytes) / element_bytes_;
  const bool other_count = pairs_differ_ && tag == tag_of_pair(tag_, count);  // and nothing else
  if (tag != tag_ && !other_count) TUTTI_TRY(control_.mismatched(*call_, step.peer, theirs));
  if (pairs_differ_) return unexpected_count(*call_, rank_, step.peer, expected_count(step.peer));
  return rank_error(Code::mismatch, step.peer,
                    "rank {} expected {} bytes from rank {} in operation {} ({}) but got {}: the "
                    "ranks made different calls; compare their arguments",
                    rank_, expected_bytes, step.peer, call_->sequence, describe(*call_), bytes);
}

}  // namespace tutti::runtime
