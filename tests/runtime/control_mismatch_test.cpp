// Calls that do not match: what the control path finds out, and what every rank is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/control_fake.h"

namespace tutti::runtime::control {
namespace {

using ::testing::HasSubstr;

const Call kSum{.sequence = 57, .count = 1024};
const Call kBroadcast{.sequence = 57, .collective = Collective::broadcast, .count = 1024};

void enter(Ranks& ranks, int odd) {
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    (*ranks[rank])->finished(56);
    (*ranks[rank])->entered(static_cast<int>(rank) == odd ? kBroadcast : kSum);
  }
}

// The error that all ranks hold when `odd` alone made a broadcast.
std::string expected(int odd) {
  const char* sum = "all_reduce(float32, 1024, sum)";
  const char* broadcast = "broadcast(float32, 1024, root 0)";
  const int other = odd == 0 ? 1 : odd;
  return fmt::format(
      "rank {} (host host{}) called {} as operation 57 while rank 0 (host host0) called {}; every "
      "rank must make the same calls in the same order",
      other, other, odd == 0 ? sum : broadcast, odd == 0 ? broadcast : sum);
}

void expect_on_every_rank(Ranks& ranks, const std::string& text) {
  for (auto& rank : ranks) {
    const Status failure = rank->await_failure();
    EXPECT_EQ(failure.code(), Code::mismatch);
    EXPECT_EQ(failure.message(), text);
  }
}

// The root of the tree, an inner rank, a leaf; found out by whoever meets it.
TEST(ControlMismatch, EveryRankIsToldTheSameTwoCalls) {
  for (int n = 2; n <= 9; ++n) {
    for (const int odd : {0, n / 2, n - 1}) {
      for (const int origin : {0, n - 1}) {
        SCOPED_TRACE(fmt::format("{} ranks, {} differs, {} finds out", n, odd, origin));
        auto ranks = start_ranks(n);
        enter(ranks, odd);
        const int peer = origin == odd ? (odd + 1) % n : odd;
        const Call& mine = origin == odd ? kBroadcast : kSum;
        const Status told = (*ranks[static_cast<std::size_t>(origin)])->mismatched(mine, peer, 57);
        EXPECT_EQ(told.message(), expected(odd));
        expect_on_every_rank(ranks, expected(odd));
      }
    }
  }
}

TEST(ControlMismatch, RanksThatFindItAtTheSameTimeSayTheSame) {
  auto ranks = start_ranks(7);
  enter(ranks, 4);
  std::vector<std::thread> threads;
  for (const int origin : {6, 5, 4, 2}) {
    threads.emplace_back([&, origin] {
      const Call& mine = origin == 4 ? kBroadcast : kSum;
      const Status told =
          (*ranks[static_cast<std::size_t>(origin)])->mismatched(mine, origin == 4 ? 5 : 4, 57);
      EXPECT_EQ(told.message(), expected(4));
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_on_every_rank(ranks, expected(4));
}

// No data meets, so that nobody calls mismatched().
TEST(ControlMismatch, HeartbeatsFindIt) {
  for (const int odd : {0, 1, 4}) {
    const auto start = Clock::now();
    auto ranks = start_ranks(5);
    enter(ranks, odd);
    expect_on_every_rank(ranks, expected(odd));
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
  }
}

// A rank that went on is compared in the call in which the other one is stuck.
TEST(ControlMismatch, HeartbeatsFindItWhenOneWentOn) {
  auto ranks = start_ranks(2);
  enter(ranks, 1);
  (*ranks[1])->finished(57);
  (*ranks[1])->entered({.sequence = 58, .count = 3});
  expect_on_every_rank(ranks, expected(1));
}

TEST(ControlMismatch, RanksAtDifferentCallsAreNotAccused) {
  Timing timing;
  timing.heartbeat = std::chrono::milliseconds(10);
  auto ranks = start_ranks(4, timing);
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
      // Each rank is one call behind the one before it.
      if (sequence <= rank) continue;
      const std::uint64_t own = sequence - rank;
      (*ranks[rank])->entered({.sequence = own, .count = static_cast<std::int64_t>(own * own)});
      (*ranks[rank])->finished(own);
    }
    std::this_thread::yield();
  }
  EXPECT_FALSE(ranks[0]->await([&] { return !(*ranks[0])->failure().ok(); }, 300));
}

// The calls that differed left nothing to notice; what came after them does not agree any more.
TEST(ControlMismatch, ADifferenceOfTheRecentPastIsNamed) {
  auto ranks = start_ranks(3);
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    std::uint32_t history = 0;
    for (Call call : {rank == 1 ? kBroadcast : kSum, Call{.sequence = 58}, Call{.sequence = 59}}) {
      call.history = history = chained(history, call);
      (*ranks[rank])->entered(call);
      (*ranks[rank])->finished(call.sequence);
    }
  }
  expect_on_every_rank(ranks, expected(1));
}

TEST(ControlMismatch, ACallThatNobodyRemembersIsStillAnError) {
  auto ranks = start_ranks(3);
  for (auto& rank : ranks) (*rank)->entered(kSum);
  const Status told = (*ranks[2])->mismatched(kSum, 1, 57);
  EXPECT_EQ(told.code(), Code::mismatch);
  EXPECT_EQ(told.failed_rank(), 1);
  EXPECT_EQ(told.message(),
            "rank 2 (host host2) and rank 1 (host host1) made different calls some time before "
            "operation 57 of rank 2, all_reduce(float32, 1024, sum); every rank must make the same "
            "calls in the "
            "same order");
  expect_on_every_rank(ranks, std::string(told.message()));
}

// Rank 0 has not come to the call yet: the lowest rank that has is the measure.
TEST(ControlMismatch, ALateRankIsNotTheMeasure) {
  auto ranks = start_ranks(4);
  enter(ranks, 3);
  Call earlier = kSum;
  earlier.sequence = 56;
  (*ranks[0])->entered(earlier);
  const Status told = (*ranks[3])->mismatched(kBroadcast, 1, 57);
  EXPECT_THAT(
      std::string(told.message()),
      HasSubstr("rank 3 (host host3) called broadcast(float32, 1024, root 0) as operation 57 "
                "while rank 1 (host host1) called all_reduce(float32, 1024, sum)"));
}

TEST(ControlMismatch, ATimeOutSaysThatCallsDiffer) {
  Timing timing;
  timing.heartbeat = std::chrono::milliseconds(60'000);
  auto ranks = start_ranks(3, timing);
  enter(ranks, 2);
  const Status told = (*ranks[0])->timed_out(57, describe(kSum), 2, 2000);
  EXPECT_EQ(told.code(), Code::mismatch);
  EXPECT_EQ(told.message(), expected(2));
}

}  // namespace
}  // namespace tutti::runtime::control
