#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <thread>

#include "runtime/control_fake.h"

namespace tutti::runtime::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// News travels in well under a second; sanitizers and crowded machines get some slack.
#ifdef TUTTI_SANITIZE
constexpr auto kSoon = std::chrono::seconds(5);
#else
constexpr auto kSoon = std::chrono::seconds(1);
#endif

void close_all(Ranks& ranks) {
  std::vector<std::thread> closers;
  for (auto& rank : ranks) {
    if (!rank->alive()) continue;
    closers.emplace_back([&] { (*rank)->close(Deadline::after_ms(20'000)); });
  }
  for (auto& closer : closers) closer.join();
}

TEST(Control, ADeathIsKnownEverywhereWithinASecond) {
  for (int n = 2; n <= 17; ++n) {
    for (int dead = 0; dead < n; ++dead) {
      auto ranks = start_ranks(n);
      const auto start = Clock::now();
      ranks[static_cast<std::size_t>(dead)]->die();
      for (auto& rank : ranks) {
        if (!rank->alive()) continue;
        const auto failure = rank->await_failure();
        ASSERT_EQ(failure.failed_rank(), dead) << failure.message();
        EXPECT_EQ(failure.code(), Code::peer_failed);
        EXPECT_THAT(std::string(failure.message()), StartsWith(named(dead) + " died: "));
        EXPECT_TRUE((*rank)->attention());
      }
      EXPECT_LT(Clock::now() - start, kSoon) << "rank " << dead << " of " << n;
      close_all(ranks);
    }
  }
}

TEST(Control, OfTwoDeathsAtOnceEveryRankNamesOne) {
  constexpr int kRanks = 12;
  for (int first = 0; first < kRanks; ++first) {
    for (int second = first + 1; second < kRanks; ++second) {
      auto ranks = start_ranks(kRanks);
      ranks[static_cast<std::size_t>(first)]->die();
      ranks[static_cast<std::size_t>(second)]->die();
      for (auto& rank : ranks) {
        if (!rank->alive()) continue;
        const auto failure = rank->await_failure();
        EXPECT_EQ(failure.code(), Code::peer_failed);
        EXPECT_TRUE(failure.failed_rank() == first || failure.failed_rank() == second)
            << failure.message();
      }
    }
  }
}

TEST(Control, AReportReachesEveryoneWordForWord) {
  for (const int n : {1, 2, 5, 17}) {
    auto ranks = start_ranks(n);
    const int origin = n / 2;
    const auto told = (*ranks[static_cast<std::size_t>(origin)])
                          ->report(Status::error(Code::aborted, "rank 8 aborted", origin));
    EXPECT_EQ(told.message(), "rank 8 aborted");
    for (auto& rank : ranks) {
      const auto failure = rank->await_failure();
      EXPECT_EQ(failure.code(), Code::aborted);
      EXPECT_EQ(failure.failed_rank(), origin);
      EXPECT_EQ(failure.message(), "rank 8 aborted");
    }
    close_all(ranks);
  }
}

TEST(Control, TheFirstFailureIsFinal) {
  auto ranks = start_ranks(3);
  Control& control = **ranks[1];
  EXPECT_TRUE(control.report(Status()).ok());
  EXPECT_FALSE(control.attention());
  EXPECT_EQ(control.report(Status::error(Code::mismatch, "one")).message(), "one");
  EXPECT_EQ(control.report(Status::error(Code::internal, "two")).message(), "one");
  EXPECT_EQ(control.timed_out(1, "broadcast", 0, 10).message(), "one");
  EXPECT_EQ(ranks[2]->await_failure().message(), "one");
  ranks[0]->die();
  EXPECT_EQ((*ranks[2])->failure().message(), "one");
  EXPECT_EQ(control.failure().message(), "one");
}

TEST(Control, ManyReportersGetOneFailureEach) {
  auto ranks = start_ranks(9);
  std::vector<std::thread> reporters;
  for (int i = 0; i < 9; ++i) {
    reporters.emplace_back([&, i] {
      Control& control = **ranks[static_cast<std::size_t>(i)];
      const auto mine = control.report(Status::error(Code::internal, std::to_string(i), i));
      EXPECT_EQ(mine.message(), control.failure().message());
    });
  }
  for (auto& reporter : reporters) reporter.join();
  close_all(ranks);
}

TEST(Control, ClosingInAnyOrderUnderLoadIsNoFailure) {
  auto random = seeded();
  for (int round = 0; round < 20; ++round) {
    const int n = 1 + static_cast<int>(random() % 17);
    auto ranks = start_ranks(n);
    std::vector<std::thread> threads;
    for (int i = 0; i < n; ++i) {
      threads.emplace_back([&, i, operations = 1 + random() % 100'000] {
        Control& control = **ranks[static_cast<std::size_t>(i)];
        for (std::uint64_t sequence = 1; sequence <= operations; ++sequence) {
          control.entered({.sequence = sequence});
          control.finished(sequence);
        }
        control.close(Deadline::after_ms(20'000));
        EXPECT_TRUE(control.failure().ok()) << control.failure().message();
        EXPECT_EQ(control.departures().size(), static_cast<std::size_t>(n - 1));
      });
    }
    for (auto& thread : threads) thread.join();
  }
}

TEST(Control, ADepartureIsToldAndTheDepartedRankStillPassesNewsOn) {
  auto ranks = start_ranks(3);
  (*ranks[0])->finished(56);
  std::thread closer([&] { (*ranks[0])->close(Deadline::after_ms(20'000)); });
  for (const std::size_t i : {1U, 2U}) {
    Control& control = **ranks[i];
    ASSERT_TRUE(ranks[i]->await([&] { return !control.departures().empty(); }));
    EXPECT_TRUE(control.attention());
    EXPECT_EQ(control.departures()[0].rank, 0);
    EXPECT_EQ(control.departures()[0].finished, 56U);
    EXPECT_TRUE(control.failure().ok());
  }
  ranks[1]->die();
  EXPECT_EQ(ranks[2]->await_failure().failed_rank(), 1);
  closer.join();
}

TEST(Control, ARankThatLeavesWithoutWaitingIsNoFailure) {
  auto ranks = start_ranks(7);
  (*ranks[0])->close(Deadline::after_ms(0));
  ranks[0]->die();
  for (std::size_t i = 1; i < ranks.size(); ++i) {
    Control& control = **ranks[i];
    ASSERT_TRUE(ranks[i]->await([&] { return !control.departures().empty(); }));
    EXPECT_TRUE(control.failure().ok());
  }
  const auto start = Clock::now();
  close_all(ranks);  // though the two halves cannot hear of each other any more
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  for (std::size_t i = 1; i < ranks.size(); ++i) EXPECT_TRUE((*ranks[i])->failure().ok());
}

TEST(Control, CloseEndsAtItsDeadline) {
  auto ranks = start_ranks(2);
  const auto start = Clock::now();
  (*ranks[0])->close(Deadline::after_ms(50));
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(50));
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
}

TEST(Control, GarbageFailsTheRankThatSentIt) {
  auto boards = wire_tree(3);
  Rank root(0, 3, boards[0]);
  Rank two(2, 3, boards[2]);
  const Fd one = boards[1].take(0);
  const std::string noise = "this is not a control message";
  ASSERT_EQ(::send(one.get(), noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
  for (Rank* rank : {&root, &two}) {
    const auto failure = rank->await_failure();
    EXPECT_EQ(failure.failed_rank(), 1);
    EXPECT_THAT(std::string(failure.message()),
                HasSubstr(named(1) + " sent rank 0 (host host0) control protocol version"));
  }
}

TEST(Control, ConnectingFailsWithTheSwitchboardsReason) {
  FakeSwitchboard nobody;
  const auto started = Control::start(0, make_cards(2), nobody, Deadline::after_ms(1000), [] {});
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.status().message(), "no way to rank 1");
}

TEST(Control, SaysSoWhenDescriptorsRunOut) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  FakeSwitchboard board;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto started = Control::start(0, make_cards(1), board, Deadline::after_ms(1000), [] {});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.status().code(), Code::unavailable);
  EXPECT_EQ(started.status().message(),
            "rank 0 (host host0) cannot create an eventfd for its control thread: Too many open "
            "files (errno 24). Raise the limit on open files (ulimit -n).");
}

TEST(Control, SaysSoWhenThreadsRunOut) {
  // A default stack larger than the address space: no thread can be made.
  pthread_attr_t before;
  ASSERT_EQ(::pthread_getattr_default_np(&before), 0);
  pthread_attr_t huge;
  ASSERT_EQ(::pthread_attr_init(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 50), 0);
  FakeSwitchboard board;
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  const auto started = Control::start(0, make_cards(1), board, Deadline::after_ms(1000), [] {});
  ASSERT_EQ(::pthread_setattr_default_np(&before), 0);
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(std::string(started.status().message()),
              HasSubstr("rank 0 (host host0) cannot start its control thread: "));
  ::pthread_attr_destroy(&huge);
  ::pthread_attr_destroy(&before);
}

std::set<std::string> entries(const std::string& folder) {
  std::set<std::string> names;
  DIR* open = ::opendir(folder.c_str());
  while (const dirent* entry = ::readdir(open)) names.insert(entry->d_name);
  ::closedir(open);
  return names;
}

// The value of a line "Name:  value" of every control thread's status file.
std::vector<std::string> of_control_threads(const std::string& field) {
  std::vector<std::string> values;
  for (const auto& task : entries("/proc/self/task")) {
    std::ifstream comm("/proc/self/task/" + task + "/comm");
    std::string line;
    if (!std::getline(comm, line) || line != "tutti-control") continue;
    std::ifstream status("/proc/self/task/" + task + "/status");
    while (std::getline(status, line)) {
      if (line.starts_with(field + ":")) values.push_back(line.substr(field.size() + 2));
    }
  }
  return values;
}

TEST(Control, TheThreadIsNamedBlocksSignalsAndSleepsWhenIdle) {
  constexpr int kRanks = 4;
  auto ranks = start_ranks(kRanks);
  std::vector<std::string> masks;
  const auto limit = Deadline::after_ms(20'000);
  while (masks.size() < kRanks && !limit.passed()) masks = of_control_threads("SigBlk");
  ASSERT_EQ(masks.size(), static_cast<std::size_t>(kRanks));
  // All but SIGKILL and SIGSTOP and the two that the C library keeps; sanitizers keep a few more.
  constexpr std::uint64_t kInt = 1U << 1, kUsr1 = 1U << 9, kTerm = 1U << 14, kChld = 1U << 16;
  for (const auto& mask : masks) {
    const auto bits = std::stoull(mask, nullptr, 16);
    for (const auto bit : {kInt, kUsr1, kTerm, kChld}) EXPECT_TRUE((bits & bit) != 0) << mask;
  }
  const auto wakes = [] {
    long sum = 0;
    for (const auto& count : of_control_threads("voluntary_ctxt_switches")) sum += std::stol(count);
    return sum;
  };
  const long before = wakes();
  std::this_thread::sleep_for(std::chrono::seconds(3));  // the time over which wakes are counted
  // Per rank and second one heartbeat goes out and at most three come in.
  EXPECT_LE(wakes() - before, kRanks * 3 * 8);
  close_all(ranks);
}

TEST(Control, HundredsOfCyclesLeaveNothingBehind) {
  { auto warm_up = start_ranks(4); }
  const auto fds = entries("/proc/self/fd").size();
  const auto tasks = entries("/proc/self/task").size();
  for (int cycle = 0; cycle < 200; ++cycle) {
    auto ranks = start_ranks(4);
    if (cycle % 4 == 0) ranks[static_cast<std::size_t>(cycle / 4 % 4)]->die();
    close_all(ranks);
  }
  EXPECT_EQ(entries("/proc/self/fd").size(), fds);
  // A joined thread's entry may outlive it for a moment.
  const auto limit = Deadline::after_ms(10'000);
  while (entries("/proc/self/task").size() > tasks && !limit.passed()) std::this_thread::yield();
  EXPECT_EQ(entries("/proc/self/task").size(), tasks);
}

}  // namespace
}  // namespace tutti::runtime::control
