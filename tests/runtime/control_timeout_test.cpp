// Who is blamed when an operation's deadline passes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/control_fake.h"

namespace tutti::runtime::control {
namespace {

using ::testing::HasSubstr;

const std::string kOperation = "all_reduce(float32, 1024, sum)";

// All ranks of `who` time out at once on operation 57; everyone must hold `rank` to be at fault,
// and say `text`.
void expect_blame(Ranks& ranks, const std::vector<int>& who, int waiting_for, int blamed,
                  const std::string& text) {
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (const int i : who) {
    threads.emplace_back([&, i] {
      const auto status =
          (*ranks[static_cast<std::size_t>(i)])->timed_out(57, kOperation, waiting_for, 2000);
      EXPECT_EQ(status.code(), Code::timed_out);
      EXPECT_EQ(status.failed_rank(), blamed) << status.message();
      EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(8));
  for (auto& rank : ranks) {
    const auto failure = rank->await_failure();
    EXPECT_EQ(failure.failed_rank(), blamed) << failure.message();
  }
}

void enter(Ranks& ranks, std::uint64_t sequence) {
  for (auto& rank : ranks) {
    (*rank)->finished(sequence - 1);
    (*rank)->entered({.sequence = sequence});
  }
}

std::vector<int> all_but(int n, int rank) {
  std::vector<int> who;
  for (int i = 0; i < n; ++i) {
    if (i != rank) who.push_back(i);
  }
  return who;
}

TEST(ControlTimeout, EveryRankNamesTheLateOne) {
  for (int n = 2; n <= 9; ++n) {
    const int late = n / 2;
    auto ranks = start_ranks(n);
    enter(ranks, 57);
    (*ranks[static_cast<std::size_t>(late)])->entered({.sequence = 56});
    expect_blame(ranks, all_but(n, late), n == 2 ? late : -1, late,
                 named(late) + " has not entered it and is between operations 56 and 57");
  }
}

TEST(ControlTimeout, ADistantRankIsFoundByOneThatTimesOutAlone) {
  auto ranks = start_ranks(15);
  enter(ranks, 57);
  (*ranks[14])->entered({.sequence = 56});
  expect_blame(ranks, {7}, 3, 14, named(14) + " has not entered it");
}

TEST(ControlTimeout, WhenNobodyIsLateTheRankWaitedForIsNamed) {
  auto ranks = start_ranks(5);
  enter(ranks, 57);
  expect_blame(ranks, {4}, 2, 2,
               "on rank 4 (host host4) while it waited for " + named(2) +
                   "; every rank that could be asked has entered it");
}

TEST(ControlTimeout, ADepartedRankIsNamed) {
  auto ranks = start_ranks(4);
  enter(ranks, 57);
  (*ranks[3])->entered({.sequence = 56});
  std::thread closer([&] { (*ranks[3])->close(Deadline::after_ms(20'000)); });
  ASSERT_TRUE(ranks[0]->await([&] { return !(*ranks[0])->departures().empty(); }));
  expect_blame(ranks, {0}, 1, 3, named(3) + " has closed its communicator after 56 operations");
  closer.join();
}

TEST(ControlTimeout, SeveralThreadsOfARankGetTheSameAnswer) {
  auto ranks = start_ranks(2);
  enter(ranks, 57);
  (*ranks[1])->entered({.sequence = 56});
  std::string first;
  std::string second;
  std::thread other([&] { first = (*ranks[0])->timed_out(57, kOperation, 1, 2000).message(); });
  second = (*ranks[0])->timed_out(57, kOperation, 1, 2000).message();
  other.join();
  EXPECT_EQ(first, second);
}

TEST(ControlTimeout, ADeathDuringTheInquiryIsTheAnswer) {
  auto ranks = start_ranks(3);
  std::thread asker([&] {
    const auto status = (*ranks[1])->timed_out(57, kOperation, 0, 2000);
    EXPECT_EQ(status.code(), Code::peer_failed);
    EXPECT_EQ(status.failed_rank(), 2);
  });
  ranks[2]->die();
  asker.join();
}

// Rank 1 of three is a connection that says nothing.
struct Mute {
  explicit Mute(const Timing& timing) {
    auto boards = wire_tree(3);
    ranks.push_back(std::make_unique<Rank>(0, 3, boards[0], timing));
    ranks.push_back(std::make_unique<Rank>(2, 3, boards[2], timing));
    connection = boards[1].take(0);
    enter(ranks, 57);
  }
  Ranks ranks;  // 0 and 2
  Fd connection;
};

TEST(ControlTimeout, ARankThatDoesNotEchoIsNamedByItsNeighbour) {
  Mute mute{Timing{}};
  // Asked by rank 2: rank 0, the neighbour of the silent rank, answers for it.
  expect_blame(mute.ranks, {1}, 0, 1, named(1) + " does not answer, was last heard of ");
}

TEST(ControlTimeout, ARankSilentForLongIsNamedWithWhatItDidLast) {
  Timing timing;
  timing.heartbeat = std::chrono::milliseconds(50);
  timing.silence = std::chrono::milliseconds(1000);
  timing.echo = std::chrono::hours(1);
  Mute mute(timing);
  const auto frame = encode(Heartbeat{56, 55});
  ASSERT_EQ(::send(mute.connection.get(), frame.data(), frame.size(), 0),
            static_cast<ssize_t>(frame.size()));
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // the silence itself
  expect_blame(mute.ranks, {1}, 0, 1, named(1) + " has sent no heartbeat for 1.");
  EXPECT_THAT(std::string((*mute.ranks[0])->failure().message()),
              HasSubstr("was last known in operation 56"));
}

}  // namespace
}  // namespace tutti::runtime::control
