// One link over the fabric in memory, both ends driven step by step: connecting, what crosses the
// wire, and closing. What happens when rails fail is failover_test's.
#include "transport/rdma/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "base/error.h"
#include "transport/rdma/link_pair.h"
#include "transport/rdma/traffic.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::uint64_t messages_between(const FakeFabric& fabric, std::uint64_t* bytes = nullptr) {
  std::uint64_t messages = 0;
  for (const char* host : {"left", "right"}) {
    for (const char* device : {"fake0", "fake1"}) {
      const FakeTraffic traffic = fabric.traffic(host, device);
      messages += traffic.messages_sent;
      if (bytes != nullptr) *bytes += traffic.bytes_sent;
    }
  }
  return messages;
}

TEST(RdmaLink, WhatCrossesTheWireIsTheMessagesAndFewCredits) {
  LinkPair pair;
  pair.connect();
  EXPECT_EQ(messages_between(pair.fabric), 4U) << "one probe each way on each queue pair";
  Traffic traffic(pair, 1);
  traffic.set_goal(100);
  ASSERT_TRUE(traffic.run_to_goal());
  std::uint64_t bytes = 0;
  const std::uint64_t messages = messages_between(pair.fabric, &bytes) - 4;
  EXPECT_EQ(bytes, traffic.bytes_sent() + 400 * kTagBytes);
  // Two ends, two lanes, 100 messages each; half of the slots make a credit at the most.
  EXPECT_GE(messages, 400U);
  EXPECT_LE(messages, 400U + 200U);
}

// Traffic in one direction alone: a credit per half of the slots, no more.
TEST(RdmaLink, CreditsAloneComeForEveryHalfOfTheSlots) {
  LinkPair pair;
  pair.connect();
  for (int i = 0; i < 40; ++i) {
    ASSERT_NE(pair.sender(0).reserve(8).data(), nullptr) << i;
    pair.sender(0).commit(8, 0);
    ASSERT_NE(pair.receiver(1).peek().data(), nullptr) << i;
    pair.receiver(1).release();
  }
  EXPECT_EQ(messages_between(pair.fabric), 4U + 40U + 20U);
}

TEST(RdmaLink, BothRailsCarryTheirLanes) {
  LinkPair pair;
  pair.connect();
  Traffic traffic(pair, 2);
  traffic.set_goal(10);
  ASSERT_TRUE(traffic.run_to_goal());
  for (const char* host : {"left", "right"}) {
    EXPECT_GE(pair.fabric.traffic(host, "fake0").messages_sent, 11U);
    EXPECT_GE(pair.fabric.traffic(host, "fake1").messages_sent, 11U);
  }
}

// A sleeper that looks once more before it sleeps may find the news then: it must not sleep on it.
TEST(RdmaLink, NewsFoundOnTheWayToSleepEndTheSleep) {
  LinkPair pair;
  pair.connect();
  pair.end(0).link.reset();
  std::vector<pollfd> fds;
  pair.link(1).add_poll_fds(fds);
  EXPECT_GT(::poll(fds.data(), fds.size(), 0), 0);
  ASSERT_TRUE(pair.drive([&] { return pair.receiver(1).state() == PortState::closed; }));
}

TEST(RdmaLink, AnIdleLinkSleeps) {
  LinkPair pair;
  pair.connect();
  std::vector<pollfd> fds;
  for (int i = 0; i < 3; ++i) {
    fds.clear();
    pair.link(1).add_poll_fds(fds);
  }
  EXPECT_EQ(::poll(fds.data(), fds.size(), 0), 0);
  pair.sender(0).reserve(4);
  pair.sender(0).commit(4, 0);
  EXPECT_GT(::poll(fds.data(), fds.size(), 1000), 0) << "a message wakes";
}

// Polling a receiver may bring credits for a sender that its user has tried just before.
TEST(RdmaLink, CreditsThatCameWithAReceiveAreNotSleptOver) {
  LinkPair pair;
  pair.connect();
  std::vector<pollfd> fds;
  for (int i = 0; i < 4; ++i) {
    ASSERT_NE(pair.sender(0).reserve(1).data(), nullptr);
    pair.sender(0).commit(1, 0);
  }
  pair.link(0).add_poll_fds(fds);
  EXPECT_EQ(pair.sender(0).reserve(1).data(), nullptr);
  for (int i = 0; i < 4; ++i) {
    ASSERT_NE(pair.receiver(1).peek().data(), nullptr);
    pair.receiver(1).release();
  }
  EXPECT_EQ(pair.receiver(0).peek().data(), nullptr) << "but the credits are taken";
  fds.clear();
  pair.link(0).add_poll_fds(fds);
  EXPECT_GT(::poll(fds.data(), fds.size(), 0), 0);
  EXPECT_NE(pair.sender(0).reserve(1).data(), nullptr);
}

// ---- Connecting

// The verdict of a quick peer, and even its close, may be read before one's own queues are.
TEST(RdmaLink, APeerThatIsQuickerIsBelieved) {
  for (int round = 0; round < 50; ++round) {
    LinkPair pair;
    pair.fabric.deliver_by_thread();
    pair.make();
    auto left = std::async(std::launch::async, [&] {
      Status status = pair.link(0).prove(soon(), soon(), {});
      pair.end(0).link.reset();
      return status;
    });
    const Status right = pair.link(1).prove(soon(), soon(), {});
    const Status of_left = left.get();
    ASSERT_TRUE(of_left.ok()) << of_left.message();
    ASSERT_TRUE(right.ok()) << right.message();
    ASSERT_TRUE(pair.drive([&] { return pair.receiver(1).state() == PortState::closed; }));
  }
}

TEST(RdmaLink, APeerThatLeavesWhileConnectingIsNamed) {
  LinkPair pair;
  pair.make();
  pair.end(0).link.reset();
  const Status status = pair.link(1).prove(soon(), soon(), {});
  EXPECT_EQ(status.code(), Code::peer_failed);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("rank 0 (host left) left while RDMA was set up"),
                    HasSubstr("its process died or was killed")));
}

TEST(RdmaLink, StopEndsConnecting) {
  LinkPair pair;
  pair.make();
  const Status status =
      pair.link(1).prove(soon(), soon(), [] { return error(Code::peer_failed, "rank 5 died"); });
  EXPECT_EQ(status.message(), "rank 5 died");
}

// ---- Closing

TEST(RdmaLink, WhatWasFlushedArrivesThoughTheSenderClosesAtOnce) {
  LinkPair pair;
  pair.connect();
  Traffic traffic(pair, 3);
  traffic.only_from(0);
  traffic.set_goal(4);  // as many as there are slots: no credit is needed
  ASSERT_TRUE(pair.drive([&] { return traffic.send_all(0) && traffic.flush_all(0); }));
  pair.end(0).link.reset();
  EXPECT_EQ(pair.receiver(1).state(), PortState::open) << "not before all is received";
  ASSERT_TRUE(pair.drive([&] { return traffic.receive_all(1); }));
  ASSERT_TRUE(pair.drive([&] { return pair.receiver(1).state() == PortState::closed; }));
  EXPECT_EQ(pair.sender(1).state(), PortState::closed);
  EXPECT_EQ(pair.link(1).broken_reason(), "");
}

// What is released after the peer closed makes credits that nobody takes.
TEST(RdmaLink, CreditsForAPeerThatClosedHoldNobodyUp) {
  LinkPair pair;
  pair.connect();
  Traffic traffic(pair, 6);
  traffic.only_from(0);
  traffic.set_goal(4);
  ASSERT_TRUE(pair.drive([&] { return traffic.send_all(0) && traffic.flush_all(0); }));
  pair.end(0).link.reset();
  ASSERT_TRUE(pair.drive([&] {
    traffic.step(1);  // one at a time: the first credit fails before the next is due
    return traffic.messages_received() == 8;
  }));
  EXPECT_TRUE(pair.drive([&] { return pair.sender(1).flush() && pair.sender(1, 1).flush(); },
                         Deadline::after_ms(2000)));
}

TEST(RdmaLink, BothMayCloseAtOnce) {
  LinkPair pair;
  pair.connect();
  Traffic traffic(pair, 4);
  traffic.set_goal(4);
  for (int rank : {0, 1}) {
    ASSERT_TRUE(pair.drive([&] { return traffic.send_all(rank) && traffic.flush_all(rank); }));
  }
  const auto began = Clock::now();
  pair.close_both();
  EXPECT_LT(Clock::now() - began, std::chrono::milliseconds(1000));
}

TEST(RdmaLink, APeerThatClosedIsNotWaitedForWithUnsentMessages) {
  LinkPair pair;
  pair.connect();
  Traffic traffic(pair, 5);
  traffic.only_from(1);
  traffic.set_goal(4);
  pair.fabric.hold("right");
  ASSERT_TRUE(pair.drive([&] { return traffic.send_all(1); }));
  pair.end(0).link.reset();
  const auto began = Clock::now();
  pair.end(1).link.reset();
  EXPECT_LT(Clock::now() - began, std::chrono::milliseconds(1000));
}

TEST(RdmaLink, APeerThatVanishesBreaksTheLinkInWords) {
  LinkPair pair;
  pair.connect();
  pair.cut_stream(0);
  ASSERT_TRUE(pair.drive([&] { return pair.receiver(1).state() == PortState::broken; }));
  EXPECT_EQ(pair.sender(1).state(), PortState::broken);
  EXPECT_EQ(pair.link(1).broken_reason(),
            "rank 0 on host left: its process died or was killed (its connection ended without "
            "notice)");
}

// The sender gave up delivering: the receiver must not wait for ever for what does not come.
TEST(RdmaLink, ACloseWithoutAllMessagesIsNoGoodOrder) {
  PairShape shape;
  shape.config = config_with_timeout(10);
  LinkPair pair(shape);
  pair.connect();
  pair.fabric.hold("left");
  pair.sender(0).reserve(8);
  pair.sender(0).commit(8, 0);
  pair.end(0).link.reset();
  ASSERT_TRUE(pair.drive([&] { return pair.receiver(1).state() != PortState::open; }));
  EXPECT_EQ(pair.receiver(1).state(), PortState::broken);
  EXPECT_THAT(std::string(pair.link(1).broken_reason()),
              AllOf(HasSubstr("rank 0 on host left closed"), HasSubstr("1 message")));
}

}  // namespace
}  // namespace tutti::transport::rdma
