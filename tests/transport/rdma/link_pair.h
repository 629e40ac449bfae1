// Two links that face each other over the fabric in memory: rank 0 on host "left" and rank 1 on
// host "right", two rails each unless told otherwise.
//
// After connect() a test may drive both ends from one thread, step by step, which makes every order
// of events repeatable, or give each end to a thread of its own. The fabric is the test's to break.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/link.h"
#include "tutti/config.h"

namespace tutti::transport::rdma {

// No wait of these tests comes near it.
inline Deadline soon() {
  return Deadline::after_ms(20'000);
}

inline std::array<Fd, 2> make_stream() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

// How long a link without any rail goes on: (7 + 1) x 4.096 us x 2^timeout. 12 is 0.13 s, 20 is
// 34 s: longer than any test.
inline Config config_with_timeout(int timeout) {
  Config config;
  config.rdma_timeout = timeout;
  config.rdma_retry_count = 7;
  return config;
}

struct PairShape {
  int lanes = 2;
  Caps caps{.slot_bytes = 1024, .slots = 4, .borrow_bytes = 256};
  Config config = config_with_timeout(20);
  // Of both hosts; none: two RoCE devices each.
  std::vector<FakeDeviceConfig> left = {};
  std::vector<FakeDeviceConfig> right = {};
};

inline std::vector<FakeDeviceConfig> one_rail(int host) {
  const std::string address = fmt::format("10.0.0.{}", host);
  return {roce_device("fake0", address.c_str(), static_cast<std::uint16_t>(host))};
}

// Everything of one rank, in the order of construction: each stands on those before.
struct LinkEnd {
  std::unique_ptr<FakeVerbs> verbs;
  std::vector<std::unique_ptr<Rail>> rails;
  std::unique_ptr<Poller> poller;
  std::unique_ptr<RegistrationCache> registrations;
  std::unique_ptr<RdmaLink> link;

  // One round of the progress loop, what is not hot included.
  void look() {
    poller->ask_for_look();
    poller->poll();
  }
  std::vector<RailAddress> addresses() const {
    std::vector<RailAddress> all;
    for (const auto& rail : rails) all.push_back(rail->address());
    return all;
  }
};

class LinkPair {
 public:
  explicit LinkPair(PairShape shape = {}) : shape_(std::move(shape)) {}
  ~LinkPair() {
    close_both();
    for (auto& end : ends_) end.reset();
    EXPECT_EQ(fabric.counts().objects(), 0) << "something was not given back";
    EXPECT_EQ(fabric.counts().overflows, 0);
  }
  LinkPair(const LinkPair&) = delete;
  LinkPair& operator=(const LinkPair&) = delete;

  LinkEnd& end(int rank) { return *ends_[static_cast<std::size_t>(rank)]; }
  RdmaLink& link(int rank) { return *end(rank).link; }
  SendPort& sender(int rank, int lane = 0) { return link(rank).send_port(lane); }
  RecvPort& receiver(int rank, int lane = 0) { return link(rank).recv_port(lane); }
  const PairShape& shape() const { return shape_; }

  // Opens the rails and makes both links; the peers' parts are exchanged, nothing is proved.
  void make() {
    open(0, "left", shape_.left);
    open(1, "right", shape_.right);
    for (int rank : {0, 1}) make_link(rank);
    auto stream = make_stream();
    for (const std::size_t i : {0U, 1U}) stream_fds_[i] = stream[i].get();
    const std::array<Endpoint, 2> endpoints = {link(0).endpoint(), link(1).endpoint()};
    EXPECT_TRUE(link(0).start(endpoints[1], std::move(stream[0])).ok());
    EXPECT_TRUE(link(1).start(endpoints[0], std::move(stream[1])).ok());
  }
  // Both ends at once, each with that much patience for silent rails.
  std::array<Status, 2> prove(std::int64_t patience_ms = 3000) {
    auto other = std::async(std::launch::async, [&] {
      return link(1).prove(Deadline::after_ms(patience_ms), soon(), {});
    });
    Status mine = link(0).prove(Deadline::after_ms(patience_ms), soon(), {});
    return {std::move(mine), other.get()};
  }
  void connect() {
    make();
    for (const Status& status : prove()) EXPECT_TRUE(status.ok()) << status.message();
  }
  // That rank's end of the stream closes as when its process is killed: without a word.
  void cut_stream(int rank) { ::shutdown(stream_fds_[static_cast<std::size_t>(rank)], SHUT_WR); }
  void close_both() {
    auto other = std::async(std::launch::async, [&] { end(1).link.reset(); });
    end(0).link.reset();
    other.get();
  }

  // Drives the ends that still have a link until `done`; false when that takes too long.
  bool drive(const std::function<bool()>& done, Deadline deadline = soon()) {
    for (;;) {
      for (auto& end : ends_) {
        if (end->link != nullptr) end->look();
      }
      if (done()) return true;
      if (deadline.passed()) return false;
      (void)::poll(nullptr, 0, 1);  // gives the rails' threads and clocks room
    }
  }

  FakeFabric fabric;

 private:
  void open(int rank, const std::string& host, const std::vector<FakeDeviceConfig>& devices) {
    LinkEnd& made = end(rank);
    made.verbs = devices.empty() ? fabric.verbs(host) : fabric.verbs(host, devices);
    auto rails = open_rails(*made.verbs, shape_.config);
    ASSERT_TRUE(rails.ok()) << rails.status().message();
    made.rails = std::move(rails->rails);
    auto poller = Poller::create(made.rails);
    ASSERT_TRUE(poller.ok()) << poller.status().message();
    made.poller = *std::move(poller);
    made.registrations = std::make_unique<RegistrationCache>(made.rails);
  }
  void make_link(int rank) {
    LinkEnd& mine = end(rank);
    const std::vector<RailAddress> theirs = end(1 - rank).addresses();
    const std::array<std::string, 2> hosts = {"left", "right"};
    auto link = RdmaLink::create({.poller = mine.poller.get(),
                                  .registrations = mine.registrations.get(),
                                  .names = {.rank = rank,
                                            .host = hosts[static_cast<std::size_t>(rank)],
                                            .peer = 1 - rank,
                                            .peer_host = hosts[static_cast<std::size_t>(1 - rank)]},
                                  .tuning = Tuning::of(shape_.config),
                                  .caps = shape_.caps,
                                  .lanes = shape_.lanes,
                                  .rails = pair_rails(mine.addresses(), theirs),
                                  .peer_rails = theirs});
    ASSERT_TRUE(link.ok()) << link.status().message();
    mine.link = *std::move(link);
  }

  const PairShape shape_;
  std::array<std::unique_ptr<LinkEnd>, 2> ends_ = {std::make_unique<LinkEnd>(),
                                                   std::make_unique<LinkEnd>()};
  std::array<int, 2> stream_fds_{};  // the links own them
};

}  // namespace tutti::transport::rdma
