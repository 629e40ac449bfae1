// The progress loop: takes what the rails' completion queues have and hands it to the links.
//
// One poller per communicator, hence one completion queue per rail and thread. A look at an empty
// queue costs about 20 ns and no system call; what needs one (the links' streams, the devices'
// events) is looked at every kLookEvery empty polls and before every sleep.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "transport/rdma/immediate.h"
#include "transport/rdma/queue_pair.h"
#include "transport/rdma/rail.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

// Who owns queue pairs. Called from Poller::poll() only, and never while it hands out completions
// of a batch, but for the first three.
class PollerClient {
 public:
  virtual ~PollerClient() = default;
  // The peer wrote. Hot.
  virtual void arrived(QueuePair& pair, Immediate immediate, std::uint32_t bytes) = 0;
  // Sends are over, hence there is room for others.
  virtual void retired(QueuePair& pair) = 0;
  virtual void failed(QueuePair& pair, const ibv_wc& completion) = 0;
  // A device says that a port came up or went down, or that the device itself failed.
  virtual void port_changed(const Rail& rail, bool up) = 0;
  // Time to do what is not hot: read the stream, mend queue pairs.
  virtual void look() = 0;
};

class Poller {
 public:
  static Result<std::unique_ptr<Poller>> create(std::span<const std::unique_ptr<Rail>> rails);
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  std::span<const std::unique_ptr<Rail>> rails() const { return rails_; }

  void add_client(PollerClient& client) { clients_.push_back(&client); }
  void remove_client(PollerClient& client) { std::erase(clients_, &client); }
  // The id that the next queue pair is created with.
  std::uint32_t next_id() const { return static_cast<std::uint32_t>(seats_.size()); }
  // Pairs come with the completions that they may have outstanding, so that no queue ever
  // overflows: unavailable when the rail's has no room for that many.
  Status add_pair(QueuePair& pair, PollerClient& client, int completions);
  void remove_pair(std::uint32_t id);

  // How many completions there were.
  int poll();
  // Clients get their look() at the end of this poll() or the next.
  void ask_for_look() { look_due_ = true; }

  // Adds what ends a sleep, once per sleep however many links ask. Arms the queues and polls again,
  // so that nothing that came before the sleep is slept over; nor is what came since the last time,
  // because a caller that tries a sender before a receiver meets the sender's credits too late.
  void add_poll_fds(std::vector<pollfd>& fds);

 private:
  struct Seat {
    QueuePair* pair = nullptr;
    PollerClient* client = nullptr;
    int completions = 0;
  };

  Poller(std::span<const std::unique_ptr<Rail>> rails, Fd ready);
  int reserved(const Rail& rail) const;
  int poll_rail(const Rail& rail);
  void dispatch(const ibv_wc& completion);
  void queue_failed(const Rail& rail);
  void look_around();
  void take_events(const Rail& rail);
  static void arm(const Rail& rail);

  static constexpr int kLookEvery = 1024;  // empty polls: about 50 us
  static constexpr int kBatch = 16;        // completions taken at once

  const std::span<const std::unique_ptr<Rail>> rails_;
  const Fd ready_;  // always readable: ends a sleep that must not begin
  std::vector<Seat> seats_;
  std::vector<PollerClient*> clients_;
  int empty_polls_ = 0;
  bool look_due_ = false;
  bool news_ = false;  // completions came since the last add_poll_fds()
  bool looking_ = false;
};

}  // namespace tutti::transport::rdma
