#include "transport/rdma/link.h"

#include <algorithm>
#include <cassert>

#include "base/error.h"
#include "base/notice.h"
#include "base/try.h"

namespace tutti::transport::rdma {
namespace {

// How long destroying a link waits until the device has delivered what was sent, on top of the time
// that the device itself takes to give up on a rail.
constexpr std::int64_t kCloseMs = 2000;
constexpr std::int64_t kClosePatienceMaxMs = 30'000;
// A link without a rail goes on for at least this long, however short the device's patience is:
// what failed rests for a while before it is tried again.
constexpr std::int64_t kMendMs = 1000;
// A peer that closes in good order has delivered everything; the completions, which come another
// way than its word, get this long.
constexpr auto kLateTime = std::chrono::milliseconds(500);
// A sleep ends when a descriptor is ready; this bound serves what goes by the clock.
constexpr int kSleepMs = 50;

}  // namespace

Result<std::unique_ptr<RdmaLink>> RdmaLink::create(const Parts& parts) {
  assert(!parts.rails.empty() && parts.lanes >= 1 &&
         static_cast<std::size_t>(parts.lanes) <= kStreamLanes &&
         parts.rails.size() <= kStreamLanes);
  std::unique_ptr<RdmaLink> link(new RdmaLink(parts));
  TUTTI_TRY(link->set_up());
  return link;
}

// After a failure one queue pair may have to carry every lane.
QueuePair::Depth RdmaLink::depth() const {
  const int messages = parts_.lanes * parts_.caps.slots;
  // As many credits as messages may be under way; a third more until their completions are known.
  return {.sends = 3 * messages + 16, .receives = 2 * messages + 16};
}

Status RdmaLink::set_up() {
  PollerClient& client = *this;
  parts_.poller->add_client(client);
  LaneMemory memory{.caps = parts_.caps};
  const std::size_t lane_bytes = static_cast<std::size_t>(memory.caps.slots) * memory.stride();
  const auto lanes = static_cast<std::size_t>(parts_.lanes);
  TUTTI_TRY_ASSIGN(slots_, OwnedRegion::create(parts_.poller->rails(), 2 * lanes * lane_bytes,
                                               IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE));
  LaneOwner& owner = *this;
  for (std::size_t i = 0; i < lanes; ++i) {
    memory.send_slots = slots_->data() + i * lane_bytes;
    memory.recv_slots = slots_->data() + (lanes + i) * lane_bytes;
    memory.remote_offset = (lanes + i) * lane_bytes;
    lanes_.push_back(std::make_unique<Lane>(owner, *parts_.poller, static_cast<int>(i), memory));
  }
  paths_ =
      std::make_unique<PathSet>(*parts_.poller, client, lanes_, parts_.tuning, parts_.names,
                                [this](const StreamMessage& message) { stream_.send(message); });
  // One for each lane, and one on each further pair of rails to fail over to.
  for (std::size_t i = 0; i < std::max(lanes, parts_.rails.size()); ++i) {
    const std::size_t rail = parts_.rails[i % parts_.rails.size()].mine;
    TUTTI_TRY(paths_->add(rail, slots_->lkey(rail), depth()));
  }
  return {};
}

RdmaLink::~RdmaLink() {
  if (have_verdict_) close();
  paths_.reset();
  parts_.poller->remove_client(*this);
}

Endpoint RdmaLink::endpoint() const {
  Endpoint endpoint;
  endpoint.slots_address = reinterpret_cast<std::uintptr_t>(slots_->data());
  for (std::size_t i = 0; i < parts_.poller->rails().size(); ++i) {
    endpoint.slots_keys.push_back(slots_->rkey(i));
  }
  for (std::size_t i = 0; i < paths_->size(); ++i) {
    endpoint.pairs.push_back({paths_->pair(i).number(), paths_->pair(i).psn()});
  }
  return endpoint;
}

Status RdmaLink::start(const Endpoint& peer, Fd stream) {
  stream_ = Stream(std::move(stream));
  std::vector<RemoteQueuePair> remotes;
  for (std::size_t i = 0; i < paths_->size(); ++i) {
    const RailPair& rails = parts_.rails[i % parts_.rails.size()];
    if (i >= peer.pairs.size() || rails.theirs >= peer.slots_keys.size()) {
      return error(Code::mismatch,
                   "rank {} on host {} made {} queue pairs on {} rails, {} are needed; install the "
                   "same version of Tutti everywhere",
                   parts_.names.peer, parts_.names.peer_host, peer.pairs.size(),
                   peer.slots_keys.size(), paths_->size());
    }
    remotes.push_back({.rail = parts_.peer_rails[rails.theirs],
                       .number = peer.pairs[i].number,
                       .psn = peer.pairs[i].psn,
                       .slots_address = peer.slots_address,
                       .slots_key = peer.slots_keys[rails.theirs]});
  }
  paths_->start(remotes);
  return {};
}

Status RdmaLink::prove(Deadline patience, Deadline deadline, const std::function<Status()>& stop) {
  const auto all = static_cast<std::uint8_t>((1U << paths_->size()) - 1);
  Status stopped;
  const auto over = [&] {
    stopped = stop ? stop() : Status();
    return !stopped.ok() || !broken_.empty() || peer_closed_;
  };
  (void)poll_until(patience.sooner(deadline), [&] {
    // What works for the peer works here in a moment.
    const bool as_many = have_peer_verdict_ && (peer_working_ & ~paths_->working()) == 0;
    return over() || as_many || paths_->working() == all;
  });
  TUTTI_TRY(stopped);
  const std::uint8_t working = paths_->working();
  StreamMessage verdict{.kind = StreamMessage::verdict};
  verdict.working = working;
  stream_.send(verdict);
  const bool told = poll_until(deadline, [&] { return over() || have_peer_verdict_; });
  TUTTI_TRY(stopped);
  // A peer that has told its verdict and got ours may have done all it wanted and closed already.
  if (!have_peer_verdict_ && (!broken_.empty() || peer_closed_)) {
    return rank_error(Code::peer_failed, parts_.names.peer,
                      "rank {} (host {}) left while RDMA was set up: {}; look at its output",
                      parts_.names.peer, parts_.names.peer_host, broken_);
  }
  if (!told || (working & peer_working_) == 0) {
    return rank_error(
        Code::unavailable, parts_.names.peer,
        "no RDMA path works between rank {} (host {}) and rank {} (host {}): {}", parts_.names.rank,
        parts_.names.host, parts_.names.peer, parts_.names.peer_host,
        working == 0 ? paths_->faults() : "the other end says so; look at its output");
  }
  have_verdict_ = true;
  if (working != all) {
    notice(
        "rank {} (host {}): some RDMA paths to rank {} (host {}) do not answer and are left "
        "out for now: {}",
        parts_.names.rank, parts_.names.host, parts_.names.peer, parts_.names.peer_host,
        paths_->faults());
  }
  return {};
}

// ---- While it is used

const Registration* RdmaLink::acquire(const void* data, std::size_t bytes) {
  return parts_.registrations == nullptr ? nullptr : parts_.registrations->acquire(data, bytes);
}

void RdmaLink::release(const Registration* memory) {
  parts_.registrations->release(static_cast<const Region*>(memory));
}

void RdmaLink::add_poll_fds(std::vector<pollfd>& fds) {
  parts_.poller->add_poll_fds(fds);
  if (stream_.fd() >= 0 && !peer_closed_) fds.push_back({stream_.fd(), POLLIN, 0});
}

PortState RdmaLink::state() const {
  if (!broken_.empty()) return PortState::broken;
  return peer_closed_ ? PortState::closed : PortState::open;
}

void RdmaLink::post_failed(const Path& path, int number) {
  paths_->failed(*path.pair,
                 fmt::format("a send could not be posted on {}: {}",
                             describe(path.pair->rail().address()), errno_text(number)));
}

void RdmaLink::arrived(QueuePair& pair, Immediate immediate, std::uint32_t bytes) {
  if (immediate.kind == Immediate::probe) {
    paths_->probe_arrived(pair);
    return;
  }
  if (immediate.lane >= lanes_.size()) {
    break_off(fmt::format("a message came for lane {}, but there are {}: a bug", immediate.lane,
                          lanes_.size()));
    return;
  }
  Lane& lane = *lanes_[immediate.lane];
  lane.peer_is_away = &pair != &paths_->pair(immediate.lane);
  lane.sender.credit(immediate.released);
  if (immediate.kind == Immediate::message && !lane.receiver.arrived(immediate.number, bytes)) {
    break_off(fmt::format("message {} of {} bytes came on lane {} where message {} was due: a bug",
                          immediate.number, bytes, immediate.lane, lane.receiver.received()));
  }
}

void RdmaLink::retired(QueuePair& pair) {
  paths_->retired(pair);
}

void RdmaLink::failed(QueuePair& pair, const ibv_wc& completion) {
  paths_->failed(pair, completion);
}

void RdmaLink::port_changed(const Rail& rail, bool up) {
  paths_->port_changed(rail, up);
}

void RdmaLink::look() {
  if (!broken_.empty()) return;
  read_stream();
  const auto now = Clock::now();
  if (peer_closed_) {
    look_for_missing(now);
  } else if (broken_.empty()) {
    look_at_paths(now);
  }
}

void RdmaLink::look_at_paths(Clock::time_point now) {
  paths_->look(now);
  if (!paths_->damage().empty()) {
    break_off(paths_->damage());
    return;
  }
  for (auto& lane : lanes_) {
    // A peer that wants to go back to the lane's own pair waits until it has every credit.
    if (lane->peer_is_away && lane->receiver.owes_the_rest()) lane->sender.owe_credit();
    lane->sender.pump();
  }
  const auto patience = std::chrono::milliseconds(std::max(parts_.tuning.patience_ms(), kMendMs));
  if (have_verdict_ && paths_->working() == 0 && !paths_->waits_for_peer() &&
      now - paths_->dark_since() > patience) {
    break_off(fmt::format("no rail to rank {} on host {} works any more: {}", parts_.names.peer,
                          parts_.names.peer_host, paths_->faults()));
  }
}

// Its lanes would else wait for ever: a close is the last that a peer says.
void RdmaLink::look_for_missing(Clock::time_point now) {
  std::uint64_t missing = 0;
  for (const auto& lane : lanes_) missing += lane->receiver.missing();
  if (missing == 0 || now - closed_at_ < kLateTime) return;
  break_off(fmt::format(
      "rank {} on host {} closed its end before {} message{} had arrived; look at its output",
      parts_.names.peer, parts_.names.peer_host, missing, missing == 1 ? "" : "s"));
}

void RdmaLink::read_stream() {
  if (peer_closed_) return;
  while (const auto message = stream_.next()) {
    take(*message);
    if (peer_closed_) return;
  }
  if (!stream_.ended().empty()) {
    break_off(fmt::format("rank {} on host {}: {}", parts_.names.peer, parts_.names.peer_host,
                          stream_.ended()));
  }
}

void RdmaLink::take(const StreamMessage& message) {
  parts_.poller->ask_for_look();
  switch (message.kind) {
    case StreamMessage::ready:
      paths_->peer_ready(message);
      break;
    case StreamMessage::stopped:
      paths_->peer_stopped(message);
      break;
    case StreamMessage::verdict:
      have_peer_verdict_ = true;
      peer_working_ = message.working;
      break;
    case StreamMessage::close:
      for (std::size_t i = 0; i < lanes_.size(); ++i) {
        lanes_[i]->receiver.close_after(message.lanes[i].received);
      }
      peer_closed_ = true;
      closed_at_ = Clock::now();
      break;
    case StreamMessage::broken: {
      const std::string faults = paths_->faults();
      break_off(fmt::format("rank {} on host {} gave the link up; look at its output{}{}",
                            parts_.names.peer, parts_.names.peer_host, faults.empty() ? "" : "; ",
                            faults));
      break;
    }
  }
}

void RdmaLink::break_off(std::string why) {
  if (!broken_.empty()) return;
  broken_ = std::move(why);
  // The caller's memory is its own again: no device may go on sending from it.
  paths_->stop();
  // A peer that waits for our part of a repair must not wait for ever.
  stream_.send({.kind = StreamMessage::broken, .lanes = {}});
  parts_.poller->ask_for_look();
}

template <typename DoneFn>
bool RdmaLink::poll_until(Deadline deadline, DoneFn&& done) {
  std::vector<pollfd> fds;
  for (;;) {
    parts_.poller->poll();
    if (done()) return true;
    if (deadline.passed()) return false;
    fds.clear();
    add_poll_fds(fds);
    if (done()) return true;
    ::poll(fds.data(), fds.size(), std::min(kSleepMs, deadline.remaining_ms()));
  }
}

// Delivers what was flushed, then says so. A peer that closed wants none of it.
void RdmaLink::close() {
  const std::int64_t patience_ms = std::min(parts_.tuning.patience_ms(), kClosePatienceMaxMs);
  (void)poll_until(Deadline::after_ms(kCloseMs + patience_ms), [this] {
    if (peer_closed_ || !broken_.empty()) return true;
    bool waiting = false;
    for (auto& lane : lanes_) waiting = !lane->sender.pump() || lane->lost_on >= 0 || waiting;
    return !waiting && paths_->quiet();
  });
  StreamMessage message{.kind = StreamMessage::close};
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    message.lanes[i].received = lanes_[i]->sender.sent();
  }
  stream_.send(message);
  stream_.close();
}

}  // namespace tutti::transport::rdma
