// What PointToPoint waits for, and what it says when that does not come.
#include "base/error.h"
#include "base/try.h"
#include "runtime/connection_lost.h"
#include "runtime/point_to_point.h"
#include "runtime/tag.h"
#include "runtime/unexpected.h"

namespace tutti::runtime {

Result<int> PointToPoint::blocked_on() const {
  if (call_ != nullptr) TUTTI_TRY(check_counts());
  int peer = -1;
  for (const Stream& stream : std::span(streams_).first(used_)) {
    const transport::PortState state = stream.sends ? stream.link->send_port(stream.lane).state()
                                                    : stream.link->recv_port(stream.lane).state();
    // Who has left in good order had all of its own.
    const bool left = state == transport::PortState::closed && over(stream);
    if (state != transport::PortState::open && !left && (stream.sends || !stream.done())) {
      return connection_lost(rank_, stream.peer, text(), *stream.link);
    }
    if (peer < 0 && !over(stream)) peer = stream.peer;
  }
  return peer >= 0 ? peer : streams_.front().peer;
}

// Looked at in this order, the peer's messages are all there, or it never sent them; and what it
// took of this rank's it has released. Its counts differ, or it has made another call.
Status PointToPoint::check_counts() const {
  for (const Stream& stream : std::span(streams_).first(used_)) {
    if (over(stream)) continue;
    if (!stream.sends) {
      TUTTI_TRY(check_came(stream.peer, stream.link->recv_port(stream.lane)));
    } else if (reach_->finished_pairs(stream.peer, call_->sequence) && !over(stream)) {
      return control_.mismatched(*call_, stream.peer, call_->sequence);
    }
  }
  return {};
}

Status PointToPoint::check_came(int peer, transport::RecvPort& port) const {
  const bool finished = reach_->finished_pairs(peer, call_->sequence);
  if (!finished || port.peek().data() != nullptr) return {};
  return control_.mismatched(*call_, peer, call_->sequence);
}

// Whose last transfer is read where it lies is not, before it was read; nor is one of which a port
// still holds some.
bool PointToPoint::over(const Stream& stream) const {
  return stream.done() && (!stream.sends || flush(stream)) &&
         (stream.last_place == 0 || stream.link->send_port(0).released(stream.last_place));
}

std::string PointToPoint::text() const {
  if (call_ != nullptr) return runtime::describe(*call_);
  for (const Stream& stream : std::span(streams_).first(used_)) {
    if (over(stream)) continue;
    return describe(stream.done() ? *stream.items.back().transfer : stream.transfer());
  }
  return "send";
}

Status PointToPoint::unexpected(const Stream& stream, std::uint64_t tag, std::size_t bytes) const {
  if (call_ != nullptr) return unexpected_in_call(stream, tag, bytes);
  const Transfer& mine = stream.transfer();
  if ((tag & kPointToPoint) == 0) {
    const auto earlier = control_.called(sequence_of_tag(tag, sequence_));
    if (earlier && earlier->sequence <= sequence_ && has_pair_counts(*earlier)) {
      return left_over_block(*earlier, rank_, stream.peer);
    }
    return rank_error(Code::mismatch, stream.peer,
                      "rank {} called {} while rank {} called a collective, its operation {}; "
                      "receive what is sent before the next collective, and only that",
                      rank_, describe(mine), stream.peer, sequence_of_tag(tag, sequence_));
  }
  return rank_error(Code::mismatch, stream.peer,
                    "rank {} called {} while rank {} called send({}, {}) to it (a message of {} "
                    "bytes came); type and count of a send and its recv must be equal",
                    rank_, describe(mine), stream.peer, name(type_of_tag(tag)), count_of_tag(tag),
                    bytes);
}

Status PointToPoint::unexpected_in_call(const Stream& stream, std::uint64_t tag,
                                        std::size_t bytes) const {
  if ((tag & kPointToPoint) != 0) return met_send(*call_, rank_, stream.peer, tag);
  const Transfer& mine = stream.transfer();
  const auto count = static_cast<std::int64_t>(bytes / size_of(mine.type));
  const std::uint64_t counted = tag_of_pair(tag_of(*call_), count);
  if (tag == counted || tag == streamed(counted)) {  // another count, and nothing else
    return unexpected_count(*call_, rank_, stream.peer, mine.count);
  }
  return control_.mismatched(*call_, stream.peer, sequence_of_tag(tag, sequence_));
}

}  // namespace tutti::runtime
