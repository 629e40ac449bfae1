// A link over RDMA: slots, lanes, queue pairs and the stream, put together.
//
// Made in four steps, each of which the peer takes too (see rdma.cpp): create, then endpoint() goes
// to the peer, then start() with the peer's, then prove(). One thread at a time; the poller and its
// rails outlive the link.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "transport/rdma/handshake.h"
#include "transport/rdma/lane.h"
#include "transport/rdma/path_set.h"
#include "transport/rdma/poller.h"
#include "transport/rdma/region.h"
#include "transport/rdma/registration_cache.h"
#include "transport/rdma/stream.h"
#include "transport/transport.h"

namespace tutti::transport::rdma {

class RdmaLink final : public Link, private LaneOwner, private PollerClient {
 public:
  struct Parts {
    Poller* poller = nullptr;
    RegistrationCache* registrations = nullptr;
    LinkNames names;
    Tuning tuning;
    Caps caps;
    int lanes = 1;
    std::vector<RailPair> rails;  // lane l starts on rails[l mod size]
    std::vector<RailAddress> peer_rails;
  };

  static Result<std::unique_ptr<RdmaLink>> create(const Parts& parts);
  RdmaLink(const RdmaLink&) = delete;
  RdmaLink& operator=(const RdmaLink&) = delete;
  ~RdmaLink() override;

  // What the peer's start() needs.
  Endpoint endpoint() const;
  Status start(const Endpoint& peer, Fd stream);
  // Waits until every queue pair is known to work, at most `patience`; then both ends agree on
  // those that do. Unavailable when there is none.
  Status prove(Deadline patience, Deadline deadline, const std::function<Status()>& stop);

  SendPort& send_port(int lane) override { return lanes_[static_cast<std::size_t>(lane)]->sender; }
  RecvPort& recv_port(int lane) override {
    return lanes_[static_cast<std::size_t>(lane)]->receiver;
  }
  const Caps& caps() const override { return parts_.caps; }
  const Registration* acquire(const void* data, std::size_t bytes) override;
  void release(const Registration* memory) override;
  void add_poll_fds(std::vector<pollfd>& fds) override;
  std::string_view broken_reason() const override { return broken_; }

 private:
  explicit RdmaLink(const Parts& parts) : parts_(parts) {}
  Status set_up();
  QueuePair::Depth depth() const;

  PortState state() const override;
  void post_failed(const Path& path, int number) override;

  void arrived(QueuePair& pair, Immediate immediate, std::uint32_t bytes) override;
  void retired(QueuePair& pair) override;
  void failed(QueuePair& pair, const ibv_wc& completion) override;
  void port_changed(const Rail& rail, bool up) override;
  void look() override;

  void read_stream();
  void take(const StreamMessage& message);
  void break_off(std::string why);
  void look_at_paths(Clock::time_point now);
  void look_for_missing(Clock::time_point now);
  // Polls until `done`, which may end the wait early too; sleeps in between. False: time is up.
  template <typename DoneFn>
  bool poll_until(Deadline deadline, DoneFn&& done);
  void close();

  const Parts parts_;
  std::unique_ptr<OwnedRegion> slots_;  // to send from, then to receive into
  std::vector<std::unique_ptr<Lane>> lanes_;
  Stream stream_;  // after start()
  std::unique_ptr<PathSet> paths_;
  bool peer_closed_ = false;
  Clock::time_point closed_at_;  // if so
  bool have_verdict_ = false;    // both ends know that some path works
  bool have_peer_verdict_ = false;
  std::uint8_t peer_working_ = 0;
  std::string broken_;  // why, once the link is of no more use
};

}  // namespace tutti::transport::rdma
