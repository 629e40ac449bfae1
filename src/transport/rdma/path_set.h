// The queue pairs of one link: which of them work, which lane uses which, and how one that failed
// is taken out of use and brought back.
//
// The life of a queue pair, a generation each time round:
//
//   proving ──> working ──> draining ──> stopped ──> resting ──> proving
//      └──────────────────────^
//
//   proving   brought up. Once the peer's end is too, each writes a probe; the pair works when ours
//             was acknowledged and theirs has come.
//   working   lanes may use it.
//   draining  it failed, here or at the peer. In the error state nothing arrives any more; once all
//             its receives have come back, what this end received over it is known for good.
//   stopped   the peer was told these counts. When its own have come too, lanes that used the pair
//             go on over another one, from the first message that the peer lacks: nothing is lost,
//             and nothing comes twice, because the old pair can deliver nothing more.
//   resting   until it is worth a try to bring it up again.
//
// Both ends go through the same generations, since each tells of each exactly once. Which pair a
// lane uses is up to its sender alone. While no pair works, lanes wait. One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "transport/rdma/fault.h"
#include "transport/rdma/lane.h"
#include "transport/rdma/poller.h"
#include "transport/rdma/queue_pair.h"
#include "transport/rdma/stream_message.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

struct Lane {
  Lane(LaneOwner& owner, Poller& poller, int index, const LaneMemory& memory)
      : receiver(owner, poller, memory), sender(owner, poller, index, memory, receiver) {}

  LaneReceiver receiver;
  LaneSender sender;
  int lost_on = -1;  // the pair that carried the lane when it failed; -1: none is being mended
  bool peer_is_away = false;  // its messages come over another pair than the lane's own
};

// Whom a link joins; for messages.
struct LinkNames {
  int rank = 0;
  std::string host;
  int peer = 0;
  std::string peer_host;
};

class PathSet {
 public:
  // `lanes` are filled by the owner and outlive this object. `tell` sends to the peer's end.
  PathSet(Poller& poller, PollerClient& client, std::vector<std::unique_ptr<Lane>>& lanes,
          const Tuning& tuning, LinkNames names, std::function<void(const StreamMessage&)> tell);
  PathSet(const PathSet&) = delete;
  PathSet& operator=(const PathSet&) = delete;
  ~PathSet();

  // A further queue pair, on that rail.
  Status add(std::size_t rail_index, std::uint32_t local_key, QueuePair::Depth depth);
  std::size_t size() const { return members_.size(); }
  const QueuePair& pair(std::size_t index) const { return *members_[index].pair; }
  // Brings up all of them, towards these. One that cannot be is like one whose peer is silent.
  void start(std::span<const RemoteQueuePair> remotes);

  // ---- What happens to them
  void retired(QueuePair& pair);
  void probe_arrived(QueuePair& pair);
  void failed(QueuePair& pair, const ibv_wc& completion);
  void failed(QueuePair& pair, std::string why);
  void port_changed(const Rail& rail, bool up);
  void peer_ready(const StreamMessage& message);
  void peer_stopped(const StreamMessage& message);

  // Moves every queue pair, and every lane that has none, as far as it goes.
  void look(Clock::time_point now);

  // A bit per queue pair.
  std::uint8_t working() const;
  // Since when no queue pair works, less the time that the peer's program took to answer; the end
  // of time while one does.
  Clock::time_point dark_since() const { return dark_since_; }
  // Why the pairs that do not work fail, a clause each.
  std::string faults() const;
  // True while only the peer's program can bring things forward: it may be busy.
  bool waits_for_peer() const;
  // Words, once messages are lost for good.
  const std::string& damage() const { return damage_; }
  // Lets nothing leave or arrive any more, for good.
  void stop();
  // No send of this end is under way; asks for the completions that would not come by themselves.
  bool quiet();

 private:
  enum class Phase : std::uint8_t { proving, working, draining, stopped, resting };
  struct Member {
    std::unique_ptr<QueuePair> pair;
    Path path;
    Phase phase = Phase::resting;
    Clock::time_point since;  // of the phase
    int tries = 0;            // to bring it up since it last worked
    bool peer_ready = false;
    bool probed = false;  // our probe was posted
    bool probe_over = false;
    bool peer_probed = false;
    bool peer_stopped = false;  // and these are its counts
    StreamMessage peer_counts;
    std::string fault;  // the last one
    bool was_reported = false;
  };

  std::size_t index_of(const QueuePair& pair) const;
  void enter(Member& member, Phase phase, Clock::time_point now);
  void advance(Member& member, Clock::time_point now);
  void take_out(Member& member, std::string why);
  void bring_up(Member& member, Clock::time_point now);
  void probe(Member& member);
  void tell_counts(Member& member);
  void settle(Member& member);
  void excuse(Clock::duration waited, Clock::time_point now);
  void route_lanes();
  const Path* route_of(std::size_t lane) const;
  void report(Member& member);
  bool rail_is_reported(const Member& member) const;
  Clock::duration rest_of(const Member& member) const;
  std::string reported_by_peer(const Member& member) const;

  Poller& poller_;
  PollerClient& client_;
  std::vector<std::unique_ptr<Lane>>& lanes_;
  const Tuning tuning_;
  const LinkNames names_;
  const std::function<void(const StreamMessage&)> tell_;
  std::vector<Member> members_;
  Clock::time_point dark_since_;
  std::string damage_;
};

}  // namespace tutti::transport::rdma
