#include "transport/rdma/path_set.h"

#include <endian.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"
#include "base/notice.h"
#include "base/try.h"

namespace tutti::transport::rdma {
namespace {

// A stopped queue pair gives back its receives at once; a device that does not is not waited for.
constexpr auto kDrainTime = std::chrono::seconds(1);
// A pair that failed is tried again after this long: a port that is down makes every try cost a
// few system calls, and the lanes wait for it only when no other pair works.
constexpr auto kRestTime = std::chrono::milliseconds(200);
constexpr int kRestDoublings = 6;  // at most 12.8 s

constexpr Clock::time_point kNever = Clock::time_point::max();

}  // namespace

PathSet::PathSet(Poller& poller, PollerClient& client, std::vector<std::unique_ptr<Lane>>& lanes,
                 const Tuning& tuning, LinkNames names,
                 std::function<void(const StreamMessage&)> tell)
    : poller_(poller),
      client_(client),
      lanes_(lanes),
      tuning_(tuning),
      names_(std::move(names)),
      tell_(std::move(tell)),
      dark_since_(Clock::now()) {
  members_.reserve(kStreamLanes);  // lanes point at the members' paths
}

PathSet::~PathSet() {
  for (const Member& member : members_) poller_.remove_pair(member.pair->id());
}

Status PathSet::add(std::size_t rail_index, std::uint32_t local_key, QueuePair::Depth depth) {
  assert(members_.size() < kStreamLanes);
  Member member;
  TUTTI_TRY_ASSIGN(member.pair,
                   QueuePair::create(*poller_.rails()[rail_index], poller_.next_id(), depth));
  member.path = {
      .pair = member.pair.get(), .local_key = local_key, .remote = {}, .rail_index = rail_index};
  // All receives, as many sends, and the batch that may be due.
  TUTTI_TRY(poller_.add_pair(*member.pair, client_,
                             depth.receives + QueuePair::kReceiveBatch + depth.sends));
  members_.push_back(std::move(member));
  return {};
}

void PathSet::start(std::span<const RemoteQueuePair> remotes) {
  const auto now = Clock::now();
  for (std::size_t i = 0; i < members_.size(); ++i) {
    members_[i].path.remote = remotes[i];
    bring_up(members_[i], now);
  }
}

std::size_t PathSet::index_of(const QueuePair& pair) const {
  const auto at = std::find_if(members_.begin(), members_.end(),
                               [&](const Member& member) { return member.pair.get() == &pair; });
  assert(at != members_.end());
  return static_cast<std::size_t>(at - members_.begin());
}

// ---- What happens to them

void PathSet::retired(QueuePair& pair) {
  Member& member = members_[index_of(pair)];
  if (member.phase != Phase::proving) return;
  member.probe_over = true;
  poller_.ask_for_look();
}

void PathSet::probe_arrived(QueuePair& pair) {
  members_[index_of(pair)].peer_probed = true;
  poller_.ask_for_look();
}

void PathSet::failed(QueuePair& pair, const ibv_wc& completion) {
  Member& member = members_[index_of(pair)];
  // What follows the first failure is its consequence.
  if (member.phase != Phase::proving && member.phase != Phase::working) return;
  const WorkId id = WorkId::decode(completion.wr_id);
  take_out(member, describe(CompletionFault{.status = completion.status,
                                            .vendor_error = completion.vendor_err,
                                            .sending = !id.receive,
                                            .mine = pair.rail().address(),
                                            .theirs = member.path.remote.rail,
                                            .queue_pair = pair.number(),
                                            .peer_queue_pair = member.path.remote.number,
                                            .peer = names_.peer,
                                            .peer_host = names_.peer_host,
                                            .timeout = tuning_.timeout,
                                            .retry_count = tuning_.retry_count}));
}

void PathSet::failed(QueuePair& pair, std::string why) {
  Member& member = members_[index_of(pair)];
  if (member.phase == Phase::proving || member.phase == Phase::working) {
    take_out(member, std::move(why));
  }
}

void PathSet::port_changed(const Rail& rail, bool up) {
  const bool other_works = std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
    return member.phase == Phase::working && &member.pair->rail() != &rail;
  });
  for (Member& member : members_) {
    if (&member.pair->rail() != &rail) continue;
    if (up && member.phase == Phase::resting) {
      member.since = {};  // rested enough
    } else if (!up && member.phase == Phase::working && other_works) {
      // The device would go on trying; with nowhere else to go, that is right.
      take_out(member, fmt::format("{} went down; look at `ip link` and `rdma link`",
                                   describe(rail.address())));
    }
  }
  poller_.ask_for_look();
}

void PathSet::peer_ready(const StreamMessage& message) {
  if (message.pair >= members_.size()) return;
  Member& member = members_[message.pair];
  member.peer_ready = true;
  const auto now = Clock::now();
  if (member.phase == Phase::proving) excuse(now - member.since, now);
}

void PathSet::peer_stopped(const StreamMessage& message) {
  if (message.pair >= members_.size()) return;
  Member& member = members_[message.pair];
  member.peer_stopped = true;
  member.peer_counts = message;
  if (member.phase == Phase::proving || member.phase == Phase::working) {
    take_out(member, reported_by_peer(member));
  }
  // At once: the next message of the same batch may already be of the next generation.
  advance(member, Clock::now());
}

std::string PathSet::reported_by_peer(const Member& member) const {
  return fmt::format("rank {} on host {} reports that {} failed there; look at its output",
                     names_.peer, names_.peer_host, describe(member.path.remote.rail));
}

// ---- The state machine

void PathSet::enter(Member& member, Phase phase, Clock::time_point now) {
  member.phase = phase;
  member.since = now;
}

void PathSet::take_out(Member& member, std::string why) {
  member.fault = std::move(why);
  member.pair->stop();
  enter(member, Phase::draining, Clock::now());
  const auto index = static_cast<int>(index_of(*member.pair));
  for (auto& lane : lanes_) {
    if (lane->sender.path() != &member.path) continue;
    lane->sender.set_path(nullptr);
    lane->lost_on = index;
  }
  if (working() == 0) dark_since_ = std::min(dark_since_, Clock::now());
  poller_.ask_for_look();
}

void PathSet::look(Clock::time_point now) {
  for (Member& member : members_) advance(member, now);
  route_lanes();
}

void PathSet::advance(Member& member, Clock::time_point now) {
  if (member.phase == Phase::proving && member.peer_ready && !member.probed) probe(member);
  if (member.phase == Phase::proving && member.probe_over && member.peer_probed) {
    enter(member, Phase::working, now);
    member.tries = 0;
    dark_since_ = kNever;
    if (std::exchange(member.was_reported, false) && !rail_is_reported(member)) {
      notice("rank {} (host {}): {} to rank {} (host {}) works again", names_.rank, names_.host,
             describe(member.pair->rail().address()), names_.peer, names_.peer_host);
    }
  }
  if (member.phase == Phase::draining &&
      (member.pair->receives_posted() == 0 || now - member.since > kDrainTime)) {
    tell_counts(member);
    enter(member, Phase::stopped, now);
  }
  if (member.phase == Phase::stopped && member.peer_stopped) {
    excuse(now - member.since, now);
    settle(member);
    enter(member, Phase::resting, now);
  }
  if (member.phase == Phase::resting && now - member.since > rest_of(member)) {
    bring_up(member, now);
  }
}

// Longer after each try that failed, because a try may hold up the lanes of the other rails: the
// kernel looks for a silent neighbour for a second. While nothing works, that holds up nobody.
Clock::duration PathSet::rest_of(const Member& member) const {
  if (working() == 0) return kRestTime;
  return kRestTime * (1 << std::min(member.tries, kRestDoublings));
}

// Time in which the peer's program did something else: its rails may be well.
void PathSet::excuse(Clock::duration waited, Clock::time_point now) {
  if (dark_since_ != kNever) dark_since_ = std::min(dark_since_ + waited, now);
}

bool PathSet::waits_for_peer() const {
  return std::any_of(members_.begin(), members_.end(), [](const Member& member) {
    return member.phase == Phase::stopped || (member.phase == Phase::proving && !member.peer_ready);
  });
}

void PathSet::stop() {
  for (Member& member : members_) {
    if (member.phase == Phase::proving || member.phase == Phase::working) member.pair->stop();
  }
}

void PathSet::bring_up(Member& member, Clock::time_point now) {
  member.probed = member.probe_over = member.peer_probed = false;
  ++member.tries;
  enter(member, Phase::proving, now);
  if (Status status = member.pair->bring_up(member.path.remote, tuning_); !status.ok()) {
    take_out(member, std::string(status.message()));
  } else if (member.peer_stopped) {
    take_out(member, reported_by_peer(member));  // while this end rested
  } else {
    tell_({.kind = StreamMessage::ready,
           .pair = static_cast<std::uint8_t>(index_of(*member.pair)),
           .generation = member.pair->generation(),
           .working = 0,
           .lanes = {}});
  }
}

// Writes nothing, but the peer is told, and the device has to hear that it arrived.
void PathSet::probe(Member& member) {
  member.probed = true;
  ibv_send_wr work{};
  work.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
  work.send_flags = IBV_SEND_INLINE;
  work.imm_data = htobe32(encode(Immediate{.kind = Immediate::probe}));
  work.wr.rdma.remote_addr = member.path.remote.slots_address;
  work.wr.rdma.rkey = member.path.remote.slots_key;
  if (int number = member.pair->post(work, true); number != 0) {
    take_out(member, fmt::format("a probe could not be posted on {}: {}",
                                 describe(member.pair->rail().address()), errno_text(number)));
  }
}

void PathSet::tell_counts(Member& member) {
  // What a device that did not drain in time brings later, the peer sends again elsewhere.
  member.pair->forget();
  StreamMessage message{.kind = StreamMessage::stopped,
                        .pair = static_cast<std::uint8_t>(index_of(*member.pair)),
                        .generation = member.pair->generation(),
                        .working = working(),
                        .lanes = {}};
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    message.lanes[i] = {.received = lanes_[i]->receiver.received(),
                        .released = lanes_[i]->receiver.released()};
  }
  tell_(message);
}

void PathSet::settle(Member& member) {
  const auto index = static_cast<int>(index_of(*member.pair));
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i]->lost_on != index) continue;
    lanes_[i]->lost_on = -1;
    const LaneCounts& counts = member.peer_counts.lanes[i];
    if (lanes_[i]->sender.resume(counts.received, counts.released)) continue;
    damage_ = fmt::format(
        "lane {} cannot go on after {} failed: rank {} on host {} lacks messages that its device "
        "had acknowledged; {}",
        i, describe(member.pair->rail().address()), names_.peer, names_.peer_host, member.fault);
  }
  member.peer_stopped = member.peer_ready = false;
  report(member);
}

bool PathSet::rail_is_reported(const Member& member) const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& other) {
    return other.was_reported && other.path.rail_index == member.path.rail_index;
  });
}

// Once per rail, although each of its queue pairs fails by itself.
void PathSet::report(Member& member) {
  const bool known = rail_is_reported(member);
  member.was_reported = true;
  if (known) return;
  const bool other_works = std::any_of(members_.begin(), members_.end(), [&](const Member& other) {
    return other.phase == Phase::working && other.path.rail_index != member.path.rail_index;
  });
  notice("rank {} (host {}): {} {} to rank {} (host {}): {}", names_.rank, names_.host,
         other_works ? "goes on without" : "waits for", describe(member.pair->rail().address()),
         names_.peer, names_.peer_host, member.fault);
}

// A lane's own pair if it works, else the next one that does.
const Path* PathSet::route_of(std::size_t lane) const {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const Member& member = members_[(lane + i) % members_.size()];
    if (member.phase == Phase::working) return &member.path;
  }
  return nullptr;
}

void PathSet::route_lanes() {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[i];
    if (lane.lost_on >= 0) continue;
    const Path* path = route_of(i);
    if (path == lane.sender.path()) continue;
    // Between two queue pairs there is no order, so a lane goes home only when nothing is under
    // way. But for credits: they are told again, since nobody mends the path that is left.
    if (lane.sender.path() != nullptr) {
      if (!lane.sender.idle()) continue;
      if (lane.receiver.released() > 0) lane.sender.owe_credit();
    }
    lane.sender.set_path(path);
    lane.sender.pump();
  }
}

// ---- What others ask

std::uint8_t PathSet::working() const {
  unsigned bits = 0;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].phase == Phase::working) bits |= 1U << i;
  }
  return static_cast<std::uint8_t>(bits);
}

std::string PathSet::faults() const {
  std::vector<std::string> words;
  for (const Member& member : members_) {
    if (member.phase == Phase::working) continue;
    std::string why = member.fault;
    if (why.empty()) {
      why = fmt::format("{} got no answer from {} of rank {} on host {}",
                        describe(member.pair->rail().address()), describe(member.path.remote.rail),
                        names_.peer, names_.peer_host);
    }
    if (std::find(words.begin(), words.end(), why) == words.end()) words.push_back(why);
  }
  return fmt::format("{}", fmt::join(words, "; "));
}

bool PathSet::quiet() {
  bool quiet = true;
  for (Member& member : members_) {
    if (member.phase != Phase::working) continue;
    if (member.pair->owes_signal() && member.pair->has_room()) probe(member);
    quiet = quiet && member.pair->retired() == member.pair->posted();
  }
  return quiet;
}

}  // namespace tutti::transport::rdma
