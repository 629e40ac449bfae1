// Failover under random traffic and random faults, for many seeds: every message arrives exactly
// once, in order and whole, and borrowed memory is free when flush() says so. A failure prints the
// seed; TUTTI_TEST_SEED repeats it (alone, where one thread drives everything).
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "transport/rdma/link_pair.h"
#include "transport/rdma/traffic.h"

namespace tutti::transport::rdma {
namespace {

std::vector<std::uint64_t> seeds(std::size_t count) {
  if (const char* given = std::getenv("TUTTI_TEST_SEED")) {
    return {std::strtoull(given, nullptr, 10)};
  }
  std::vector<std::uint64_t> drawn;
  std::random_device device;
  while (drawn.size() < count) drawn.push_back(device());
  return drawn;
}

// What a network, a device or a driver may do to a rail.
class Faults {
 public:
  Faults(FakeFabric& fabric, std::uint64_t seed, int rails)
      : fabric_(fabric), random_(mix(seed)), rails_(static_cast<std::uint64_t>(rails)) {}

  void strike() {
    const std::string host = random_.below(2) == 0 ? "left" : "right";
    const std::string device = fmt::format("fake{}", random_.below(rails_));
    constexpr ibv_wc_status kStatuses[] = {IBV_WC_RETRY_EXC_ERR, IBV_WC_RNR_RETRY_EXC_ERR,
                                           IBV_WC_LOC_QP_OP_ERR, IBV_WC_REM_OP_ERR,
                                           IBV_WC_GENERAL_ERR};
    const auto times = static_cast<int>(1 + random_.below(6));
    switch (random_.below(10)) {
      case 0:
      case 1:
        fabric_.set_port(host, device, false);
        break;
      case 2:
      case 3:
        fabric_.set_port(host, device, true);
        break;
      case 4:
        fabric_.lose_acks(host, device, times);
        break;
      case 5:
        fabric_.fail_completion(host, device, kStatuses[random_.below(5)], 7);
        break;
      case 6:
        fabric_.fail("post_send", times, random_.below(2) == 0 ? ENOMEM : EIO, host);
        break;
      case 7:
        fabric_.fail("poll_cq", times, EIO, host);
        break;
      case 8:
        fabric_.hold(host, device);
        break;
      case 9:
        fabric_.release(host, device, times);
        break;
    }
  }
  // Everything works again; what waited for lost acknowledgements learns that they are lost.
  void heal() {
    fabric_.fail_no_more();
    for (const char* host : {"left", "right"}) {
      for (std::uint64_t rail = 0; rail < rails_; ++rail) {
        fabric_.lose_acks(host, fmt::format("fake{}", rail), 0);
        fabric_.set_port(host, fmt::format("fake{}", rail), false);
        fabric_.set_port(host, fmt::format("fake{}", rail), true);
      }
    }
    fabric_.release();
  }

 private:
  FakeFabric& fabric_;
  Random random_;
  const std::uint64_t rails_;
};

// Queues drain within a second at the latest, and a queue pair rests for 0.2 s between tries: with
// faults that heal now and then, a run takes about as long as its last repair.
void run_stepped(std::uint64_t seed, const PairShape& shape, int rails) {
  SCOPED_TRACE(fmt::format("TUTTI_TEST_SEED={}", seed));
  Random random(seed);
  LinkPair pair(shape);
  pair.connect();
  Traffic traffic(pair, seed);
  Faults faults(pair.fabric, seed, rails);
  traffic.set_goal(400);
  for (int round = 0; round < 6; ++round) {
    for (int step = 0; step < 1500; ++step) {
      const auto rank = static_cast<int>(random.below(2));
      traffic.step(rank);
      if (random.below(20) == 0) pair.end(rank).look();
      if (random.below(100) == 0) faults.strike();
    }
    faults.heal();
  }
  EXPECT_TRUE(traffic.run_to_goal())
      << traffic.messages_received() << " messages came; left: " << pair.link(0).broken_reason()
      << "; right: " << pair.link(1).broken_reason();
}

TEST(FailoverRandom, TwoRails) {
  testing::internal::CaptureStderr();
  for (const std::uint64_t seed : seeds(8)) {
    run_stepped(seed, {.lanes = 3, .caps = {.slot_bytes = 1024, .slots = 4, .borrow_bytes = 256}},
                2);
  }
  testing::internal::GetCapturedStderr();
}

TEST(FailoverRandom, OneRail) {
  testing::internal::CaptureStderr();
  for (const std::uint64_t seed : seeds(4)) {
    run_stepped(seed,
                {.lanes = 2,
                 .caps = {.slot_bytes = 512, .slots = 2, .borrow_bytes = 64},
                 .left = one_rail(1),
                 .right = one_rail(2)},
                1);
  }
  testing::internal::GetCapturedStderr();
}

// A thread per end, and one of the fabric, as on two hosts; this one strikes.
TEST(FailoverRandom, ThreadsOnBothEnds) {
  testing::internal::CaptureStderr();
  for (const std::uint64_t seed : seeds(3)) {
    SCOPED_TRACE(fmt::format("TUTTI_TEST_SEED={}", seed));
    LinkPair pair({.lanes = 4});
    pair.fabric.deliver_by_thread();
    pair.connect();
    Traffic traffic(pair, seed);
    traffic.set_goal(3000);
    std::atomic<int> over = 0;
    std::vector<std::thread> ends;
    for (int rank : {0, 1}) {
      ends.emplace_back([&, rank] {
        const Deadline deadline = soon();
        bool counted = false;
        while (over < 2 && !deadline.passed()) {
          if (traffic.over(rank) && !counted) {
            counted = true;
            ++over;
          }
          pair.end(rank).look();
          std::this_thread::yield();
        }
      });
    }
    Faults faults(pair.fabric, seed, 2);
    for (int blow = 0; blow < 60 && over < 2; ++blow) {
      faults.strike();
      (void)::poll(nullptr, 0, 5);
      if (blow % 15 == 14) faults.heal();
    }
    faults.heal();
    for (std::thread& end : ends) end.join();
    EXPECT_EQ(over, 2) << traffic.messages_received()
                       << " messages came; left: " << pair.link(0).broken_reason()
                       << "; right: " << pair.link(1).broken_reason();
  }
  testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace tutti::transport::rdma
