// Rails that fail under traffic, one case at a time, both ends driven step by step. Whatever
// happens, every message arrives once, in order and whole, or both ends learn why not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "transport/rdma/link_pair.h"
#include "transport/rdma/traffic.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

constexpr auto kLeft = 0;
constexpr auto kRight = 1;

// One queue pair in all.
PairShape one_rail_shape(int timeout = 20) {
  return {.lanes = 1,
          .config = config_with_timeout(timeout),
          .left = one_rail(1),
          .right = one_rail(2)};
}

// Drives both ends for that long.
void drive_for(LinkPair& pair, int ms) {
  const Deadline until = Deadline::after_ms(ms);
  pair.drive([&] { return until.passed(); });
}

bool send(LinkPair& pair, int rank, int lane, std::byte value) {
  SendPort& port = pair.sender(rank, lane);
  const auto window = port.reserve(1);
  if (window.data() == nullptr) return false;
  window[0] = value;
  port.commit(1, 0);
  return true;
}

bool receive(LinkPair& pair, int rank, int lane, std::byte value) {
  RecvPort& port = pair.receiver(rank, lane);
  const auto message = port.peek();
  if (message.data() == nullptr) return false;
  EXPECT_EQ(message[0], value);
  port.release();
  return true;
}

// ---- One fault each

TEST(Failover, ARailThatGoesDownLeavesItsLanesToTheOther) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  Traffic traffic(pair, 1);
  traffic.set_goal(20);
  ASSERT_TRUE(traffic.run_to_goal());
  pair.fabric.set_port("left", "fake1", false);
  traffic.set_goal(60);
  EXPECT_TRUE(traffic.run_to_goal());
  const std::string words = GetCapturedStderr();
  EXPECT_THAT(words, HasSubstr("tutti: rank 0 (host left): goes on without fake1 port 1, GID 3 "
                               "::ffff:10.1.0.1 to rank 1 (host right): fake1 port 1, GID 3 "
                               "::ffff:10.1.0.1 went down"));
  EXPECT_THAT(words, HasSubstr("tutti: rank 1 (host right): goes on without fake1 port 1"));
  EXPECT_FALSE(traffic.broken(kLeft) || traffic.broken(kRight));
}

// More rails than lanes: the spare one is there when it is needed.
TEST(Failover, ASingleLaneHasARailToGoTo) {
  LinkPair pair({.lanes = 1});
  pair.connect();
  CaptureStderr();
  Traffic traffic(pair, 9);
  pair.fabric.set_port("right", "fake0", false);
  traffic.set_goal(20);
  EXPECT_TRUE(traffic.run_to_goal());
  EXPECT_GT(pair.fabric.traffic("left", "fake1").messages_sent, 20U);
  GetCapturedStderr();
}

TEST(Failover, LanesReturnToARailThatComesBackAndTheUserIsTold) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  Traffic traffic(pair, 2);
  pair.fabric.set_port("left", "fake1", false);
  traffic.set_goal(30);
  EXPECT_TRUE(traffic.run_to_goal());
  pair.fabric.set_port("left", "fake1", true);
  drive_for(pair, 500);
  const std::string words = GetCapturedStderr();
  for (const char* device : {"left", "right"}) {
    EXPECT_THAT(words, HasSubstr(fmt::format("(host {}): fake1 port 1", device)));
  }
  EXPECT_THAT(words, HasSubstr("to rank 1 (host right) works again"));
  EXPECT_THAT(words, HasSubstr("to rank 0 (host left) works again"));

  const FakeTraffic before = pair.fabric.traffic("left", "fake1");
  traffic.set_goal(60);
  ASSERT_TRUE(traffic.run_to_goal());
  EXPECT_GE(pair.fabric.traffic("left", "fake1").messages_sent, before.messages_sent + 30);
  EXPECT_GE(pair.fabric.traffic("left", "fake1").messages_received, before.messages_received + 30);
}

// Credits come for half of the slots at a time, and a lane goes home with all of them only.
TEST(Failover, ALaneOfOneDirectionReturnsToo) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  pair.fabric.set_port("left", "fake1", false);
  drive_for(pair, 20);
  for (int i = 0; i < 3; ++i) {  // one more than a credit tells
    ASSERT_TRUE(send(pair, kLeft, 1, std::byte{7}));
    ASSERT_TRUE(pair.drive([&] { return receive(pair, kRight, 1, std::byte{7}); }));
  }
  pair.fabric.set_port("left", "fake1", true);
  drive_for(pair, 500);
  GetCapturedStderr();
  const std::uint64_t before = pair.fabric.traffic("left", "fake1").bytes_sent;
  ASSERT_TRUE(send(pair, kLeft, 1, std::byte{8}));
  ASSERT_TRUE(pair.drive([&] { return receive(pair, kRight, 1, std::byte{8}); }));
  EXPECT_EQ(pair.fabric.traffic("left", "fake1").bytes_sent, before + 1 + kTagBytes);
}

// Left's lane 1 is at home on fake1, right's is still away on fake0, where the credits for all of
// left's slots are under way and held.
void leave_credits_on_fake0(LinkPair& pair) {
  pair.fabric.set_port("left", "fake1", false);
  drive_for(pair, 20);
  ASSERT_TRUE(send(pair, kRight, 1, std::byte{9}));  // not released: right's lane is not idle
  pair.fabric.set_port("left", "fake1", true);
  drive_for(pair, 500);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(send(pair, kLeft, 1, std::byte{1}));
  EXPECT_EQ(pair.fabric.in_flight("left"), 0U);
  pair.fabric.hold("right", "fake0");
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(pair.drive([&] { return receive(pair, kRight, 1, std::byte{1}); }));
  }
  EXPECT_EQ(pair.fabric.in_flight("right", "fake0"), 2U) << "the credits are under way";
}

void expect_credits_after_fake0_died(LinkPair& pair) {
  pair.fabric.set_port("left", "fake0", false);
  EXPECT_TRUE(
      pair.drive([&] { return send(pair, kLeft, 1, std::byte{2}); }, Deadline::after_ms(3000)))
      << "the sender never got its credits";
  drive_for(pair, 20);
}

TEST(Failover, CreditsThatAreLostWithTheirPathAreToldAgain) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  leave_credits_on_fake0(pair);
  expect_credits_after_fake0_died(pair);
  GetCapturedStderr();
}

// The lane went home before the path that it left failed: nobody mends that for it.
TEST(Failover, CreditsThatALaneLeftBehindAreToldAgain) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  leave_credits_on_fake0(pair);
  ASSERT_TRUE(pair.drive([&] { return receive(pair, kLeft, 1, std::byte{9}); }));
  drive_for(pair, 20);
  expect_credits_after_fake0_died(pair);
  GetCapturedStderr();
}

TEST(Failover, MessagesWhoseAcknowledgementsAreLostAreNotDoubled) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  Traffic traffic(pair, 3);
  traffic.only_from(kLeft);
  traffic.set_goal(4);
  pair.fabric.lose_acks("left", "fake0", 3);
  EXPECT_TRUE(pair.drive([&] { return traffic.send_all(kLeft); }));
  traffic.set_goal(40);
  EXPECT_TRUE(traffic.run_to_goal());
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("IBV_WC_RETRY_EXC_ERR"));
}

TEST(Failover, APostThatFailsCostsOnlyItsQueuePair) {
  for (const int number : {ENOMEM, EIO}) {
    LinkPair pair;
    pair.connect();
    CaptureStderr();
    Traffic traffic(pair, 4);
    traffic.set_goal(10);
    pair.fabric.fail("post_send", 3, number, "left");
    EXPECT_TRUE(traffic.run_to_goal());
    drive_for(pair, 20);
    EXPECT_THAT(GetCapturedStderr(), AllOf(HasSubstr("a send could not be posted on fake"),
                                           HasSubstr(fmt::format("errno {}", number))));
  }
}

TEST(Failover, AReceiveThatCannotBePostedCostsOnlyItsQueuePair) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  Traffic traffic(pair, 5);
  traffic.set_goal(200);
  pair.fabric.fail("post_recv", 5, ENOMEM, "right");
  EXPECT_TRUE(traffic.run_to_goal());
  GetCapturedStderr();
}

TEST(Failover, TheOnlyRailMayFlap) {
  LinkPair pair(one_rail_shape());
  pair.connect();
  CaptureStderr();
  Traffic traffic(pair, 6);
  for (std::uint64_t flap = 1; flap <= 3; ++flap) {
    pair.fabric.set_port("right", "fake0", false);
    traffic.set_goal(10 * flap);
    EXPECT_FALSE(traffic.run_to_goal(Deadline::after_ms(30)));
    pair.fabric.set_port("right", "fake0", true);
    EXPECT_TRUE(traffic.run_to_goal());
  }
  EXPECT_THAT(GetCapturedStderr(), HasSubstr("waits for fake0 port 1"));
}

// ---- A peer that computes for a while

// What the peer finds on its stream then belongs to two generations of a queue pair.
TEST(Failover, APeerThatLooksLateFollowsAllTheSame) {
  LinkPair pair(one_rail_shape());
  pair.connect();
  CaptureStderr();
  pair.fabric.fail_completion("right", "fake0", IBV_WC_LOC_QP_OP_ERR, 1);
  ASSERT_TRUE(send(pair, kRight, 0, std::byte{3}));
  for (int i = 0; i < 3; ++i) pair.end(kRight).look();
  // The left end goes through the whole repair while the right one looks elsewhere.
  const Deadline until = Deadline::after_ms(300);
  while (!until.passed()) {
    pair.end(kLeft).look();
    (void)::poll(nullptr, 0, 1);
  }
  EXPECT_TRUE(
      pair.drive([&] { return receive(pair, kLeft, 0, std::byte{3}); }, Deadline::after_ms(5000)));
  GetCapturedStderr();
}

TEST(Failover, APeerThatIsBusyForLongerThanThePatienceIsNoDeadRail) {
  LinkPair pair(one_rail_shape(12));  // 0.13 s, and a second to mend it
  pair.connect();
  CaptureStderr();
  pair.fabric.fail_completion("left", "fake0", IBV_WC_RETRY_EXC_ERR, 0);
  ASSERT_TRUE(send(pair, kLeft, 0, std::byte{4}));
  const Deadline until = Deadline::after_ms(1300);
  while (!until.passed()) {
    pair.end(kLeft).look();
    (void)::poll(nullptr, 0, 1);
  }
  EXPECT_EQ(pair.sender(kLeft).state(), PortState::open);
  EXPECT_TRUE(pair.drive([&] { return receive(pair, kRight, 0, std::byte{4}); }));
  EXPECT_EQ(pair.link(kLeft).broken_reason(), "");
  GetCapturedStderr();
}

// ---- Nothing works any more

TEST(Failover, WhenAllRailsStayDownBothEndsAreBrokenInWords) {
  LinkPair pair({.config = config_with_timeout(12)});
  pair.connect();
  CaptureStderr();
  Traffic traffic(pair, 7);
  traffic.set_goal(1000);
  pair.fabric.set_port("left", "fake0", false);
  pair.fabric.set_port("left", "fake1", false);
  const auto began = Clock::now();
  EXPECT_TRUE(pair.drive([&] {
    (void)traffic.over(kLeft);
    (void)traffic.over(kRight);
    return traffic.broken(kLeft) && traffic.broken(kRight);
  }));
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(3));
  GetCapturedStderr();
  for (int rank : {kLeft, kRight}) {
    EXPECT_EQ(pair.sender(rank).state(), PortState::broken);
    EXPECT_EQ(pair.receiver(rank, 1).state(), PortState::broken);
    EXPECT_THAT(std::string(pair.link(rank).broken_reason()),
                AllOf(AnyOf(HasSubstr("no rail to rank "), HasSubstr("gave the link up")),
                      HasSubstr(fmt::format("rank {} on host {}", 1 - rank,
                                            rank == kLeft ? "right" : "left")),
                      HasSubstr("fake0 port 1"), HasSubstr("fake1 port 1")));
  }
}

// The sender's device says that a message arrived, and its memory went back to the caller; but the
// receiver's queue died before it told. To send other bytes now would be worse than an error.
TEST(Failover, BorrowedMemoryThatWentBackIsNeverSentAgain) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  auto memory = OwnedRegion::create(pair.end(kLeft).rails, 512, 0);
  ASSERT_TRUE(memory.ok());
  ASSERT_TRUE(pair.sender(kLeft).send_from({(*memory)->data(), 512}, (*memory)->region(), 0));
  pair.end(kLeft).look();
  ASSERT_TRUE(pair.sender(kLeft).flush());
  pair.fabric.fail("poll_cq", 0, EIO, "right");
  EXPECT_TRUE(pair.drive([&] { return pair.sender(kLeft).state() == PortState::broken; }));
  pair.fabric.fail_no_more();
  EXPECT_EQ(pair.receiver(kRight).peek().data(), nullptr);
  EXPECT_THAT(std::string(pair.link(kLeft).broken_reason()),
              AllOf(HasSubstr("lane 0 cannot go on after fake0 port 1"),
                    HasSubstr("rank 1 on host right lacks messages")));
  GetCapturedStderr();
}

// The same with a message from a slot, which still holds it: it is sent again, and what the queue
// brings late does not double it.
TEST(Failover, AQueueThatFailsForAWhileLosesAndDoublesNothing) {
  LinkPair pair;
  pair.connect();
  CaptureStderr();
  ASSERT_TRUE(send(pair, kLeft, 0, std::byte{5}));
  pair.fabric.fail("poll_cq", 0, EIO, "right");
  drive_for(pair, 1050);  // longer than a queue may take to drain
  pair.fabric.fail_no_more();
  ASSERT_TRUE(pair.drive([&] { return receive(pair, kRight, 0, std::byte{5}); }));
  ASSERT_TRUE(send(pair, kLeft, 0, std::byte{6}));
  ASSERT_TRUE(pair.drive([&] { return receive(pair, kRight, 0, std::byte{6}); }));
  EXPECT_EQ(pair.link(kLeft).broken_reason(), "");
  EXPECT_EQ(pair.link(kRight).broken_reason(), "");
  GetCapturedStderr();
}

// ---- From the beginning, and to the end

TEST(Failover, ARailThatNeverAnswersIsLeftOutAndReported) {
  LinkPair pair;
  pair.make();
  pair.fabric.hold("left", "fake1");
  CaptureStderr();
  for (const Status& status : pair.prove(100)) EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(GetCapturedStderr(),
              AllOf(HasSubstr("some RDMA paths to rank 1 (host right) do not answer and are left "
                              "out for now: fake1 port 1"),
                    HasSubstr("got no answer from fake1 port 1")));
  Traffic traffic(pair, 8);
  traffic.set_goal(20);
  EXPECT_TRUE(traffic.run_to_goal());
  EXPECT_EQ(pair.fabric.traffic("left", "fake1").messages_sent, 0U);
  // It is used once it answers.
  pair.fabric.release();
  drive_for(pair, 20);
  traffic.set_goal(40);
  EXPECT_TRUE(traffic.run_to_goal());
  EXPECT_GT(pair.fabric.traffic("left", "fake1").messages_sent, 1U);
}

TEST(Failover, WithoutAnyRailThatAnswersBothEndsSaySo) {
  LinkPair pair;
  pair.make();
  pair.fabric.hold("right");
  const auto began = Clock::now();
  const auto statuses = pair.prove(100);
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(2));
  for (const Status& status : statuses) {
    EXPECT_EQ(status.code(), Code::unavailable) << status.message();
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("no RDMA path works between rank"), HasSubstr("fake0 port 1"),
                      HasSubstr("fake1 port 1"), HasSubstr("host left"), HasSubstr("host right")));
  }
}

TEST(Failover, WhatWasFlushedArrivesThoughARailDiesWhileClosing) {
  LinkPair pair({.config = config_with_timeout(12)});
  pair.connect();
  CaptureStderr();
  ASSERT_TRUE(send(pair, kLeft, 0, std::byte{1}));
  pair.fabric.hold("left", "fake1");
  ASSERT_TRUE(send(pair, kLeft, 1, std::byte{2}));
  ASSERT_TRUE(pair.sender(kLeft, 1).flush());
  auto closing = std::async(std::launch::async, [&] { pair.end(kLeft).link.reset(); });
  pair.fabric.set_port("right", "fake1", false);
  pair.fabric.release("left", "fake1");
  bool first = false;
  bool second = false;
  const Deadline deadline = soon();
  while (!(first && second) && !deadline.passed()) {
    pair.end(kRight).look();
    first = first || receive(pair, kRight, 0, std::byte{1});
    second = second || receive(pair, kRight, 1, std::byte{2});
  }
  EXPECT_TRUE(first && second);
  closing.get();
  GetCapturedStderr();
}

}  // namespace
}  // namespace tutti::transport::rdma
