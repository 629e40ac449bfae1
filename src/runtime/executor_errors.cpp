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
    TUTTI_TRY(port_error(sender.port->state(), sender.peer));
    if (peer < 0) peer = sender.peer;
  }
  return peer;
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
  const bool same_call = tag == tag_ || (pairs_differ_ && theirs == call_->sequence);
  if (!same_call) TUTTI_TRY(control_.mismatched(*call_, step.peer, theirs));
  if (pairs_differ_) return unexpected_count(*call_, rank_, step.peer, expected_count(step.peer));
  return rank_error(Code::mismatch, step.peer,
                    "rank {} expected {} bytes from rank {} in operation {} ({}) but got {}: the "
                    "ranks made different calls; compare their arguments",
                    rank_, expected_bytes, step.peer, call_->sequence, describe(*call_), bytes);
}

}  // namespace tutti::runtime
