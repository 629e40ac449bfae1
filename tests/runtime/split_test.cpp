// Communicators out of communicators, and what a thousand of them leave behind: nothing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/world.h"

namespace tutti::test {
namespace {

int sum_of_ranks(Communicator& communicator, int value) {
  int sum = -1;
  const Status status = communicator.all_reduce(&value, &sum, 1, DataType::int32, ReduceOp::sum);
  EXPECT_TRUE(status.ok()) << status.message();
  return sum;
}

TEST(Split, GroupsByColorAndOrdersByKey) {
  run_threads(6, quick_config(), [](Communicator& c) {
    // Even and odd ranks, each backwards.
    auto half = c.split(c.rank() % 2, -c.rank());
    ASSERT_TRUE(half.ok()) << half.status().message();
    ASSERT_TRUE(half->has_value());
    Communicator& mine = **half;
    EXPECT_EQ(mine.size(), 3);
    EXPECT_EQ(mine.rank(), 2 - c.rank() / 2);
    EXPECT_EQ(sum_of_ranks(mine, c.rank()), c.rank() % 2 == 0 ? 6 : 9);
    // The one that it came from goes on.
    EXPECT_EQ(sum_of_ranks(c, c.rank()), 15);
    // And again from there.
    auto pair = mine.split(mine.rank() == 0 ? -1 : 3, 0);
    ASSERT_TRUE(pair.ok()) << pair.status().message();
    EXPECT_EQ(pair->has_value(), mine.rank() != 0);
    if (pair->has_value()) {
      EXPECT_EQ((*pair)->size(), 2);
      EXPECT_EQ(sum_of_ranks(**pair, 1), 2);
    }
  });
}

TEST(Split, EqualKeysKeepTheOrderOfRanks) {
  run_threads(5, quick_config(), [](Communicator& c) {
    auto copy = c.duplicate();
    ASSERT_TRUE(copy.ok()) << copy.status().message();
    EXPECT_EQ(copy->rank(), c.rank());
    EXPECT_EQ(copy->size(), 5);
    EXPECT_EQ(sum_of_ranks(*copy, 1), 5);
  });
}

TEST(Split, ARankAloneHasACommunicatorToo) {
  run_threads(3, quick_config(), [](Communicator& c) {
    auto own = c.split(c.rank(), 0);
    ASSERT_TRUE(own.ok()) << own.status().message();
    EXPECT_EQ((*own)->size(), 1);
    EXPECT_EQ(sum_of_ranks(**own, 42), 42);
  });
}

// Once one rank has a communicator all have it, whatever becomes of it at once.
std::string abort_copies(Communicator& c) {
  for (int round = 0; round < 100; ++round) {
    auto copy = c.duplicate();
    if (!copy.ok()) return fmt::format("round {}: {}", round, copy.status().message());
    if (c.rank() == round % c.size()) copy->abort();
    if (copy->barrier().ok()) return fmt::format("round {}: nothing was aborted", round);
  }
  return "ok";
}

TEST(Split, AnAbortComesAfterWhatWasMade) {
  run_threads(8, quick_config(), [](Communicator& c) { EXPECT_EQ(abort_copies(c), "ok"); });
  for (const char* transport : {"shm", "tcp"}) {
    Config config = quick_config();
    config.transports = {transport};
    const auto exits = run_processes(8, config, abort_copies);
    for (const Exit& one : exits) EXPECT_EQ(one.output, "ok") << transport;
  }
}

TEST(Split, BothGoOnAtTheSameTime) {
  run_threads(4, quick_config(), [](Communicator& c) {
    auto copy = c.duplicate();
    ASSERT_TRUE(copy.ok()) << copy.status().message();
    int a = 1;
    int b = 2;
    for (int round = 0; round < 50; ++round) {
      a = 1;
      b = 2;
      const Work first = c.all_reduce_async(&a, &a, 1, DataType::int32, ReduceOp::sum);
      ASSERT_TRUE(copy->all_reduce(&b, &b, 1, DataType::int32, ReduceOp::sum).ok());
      ASSERT_TRUE(first.wait().ok());
      ASSERT_EQ(a, 4);
      ASSERT_EQ(b, 8);
    }
  });
}

TEST(Split, WorksOverEveryTransport) {
  for (const char* transport : {"shm", "tcp"}) {
    Config config = quick_config();
    config.transports = {transport};
    const auto exits = run_processes(4, config, [](Communicator& c) -> std::string {
      auto row = c.split(c.rank() / 2, c.rank());
      if (!row.ok()) return std::string(row.status().message());
      int value = c.rank();
      const Status status = (*row)->all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum);
      if (!status.ok()) return std::string(status.message());
      return std::to_string(value);
    });
    for (std::size_t rank = 0; rank < 4; ++rank) {
      EXPECT_EQ(exits[rank].output, rank < 2 ? "1" : "5") << transport;
    }
  }
}

// What a process holds.
struct Holdings {
  std::ptrdiff_t descriptors = 0;
  std::ptrdiff_t threads = 0;
  std::ptrdiff_t mappings = 0;
  long resident_kib = 0;

  static Holdings now() {
    Holdings held;
    const auto count = [](const char* folder) {
      return std::distance(std::filesystem::directory_iterator(folder),
                           std::filesystem::directory_iterator());
    };
    held.descriptors = count("/proc/self/fd");
    held.threads = count("/proc/self/task");
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) ++held.mappings;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) held.resident_kib = std::stol(line.substr(6));
    }
    return held;
  }
};

#ifdef TUTTI_SANITIZE
constexpr int kCycles = 50;
#else
constexpr int kCycles = 1000;
#endif

// Each cycle runs something on the new communicator, so that its transports are there.
std::string cycle(Communicator& c, int times) {
  for (int i = 0; i < times; ++i) {
    auto copy = c.duplicate();
    if (!copy.ok()) return std::string(copy.status().message());
    float values[64] = {};
    const Status status = copy->all_gather(values + 32 * c.rank(), values, 32, DataType::float32);
    if (!status.ok()) return std::string(status.message());
  }
  return {};
}

TEST(Split, AThousandCyclesLeaveNothingBehind) {
  for (const char* transport : {"shm", "tcp"}) {
    Config config = quick_config();
    config.transports = {transport};
    const auto exits = run_processes(
        2, config,
        [](Communicator& c) -> std::string {
          if (std::string wrong = cycle(c, 20); !wrong.empty()) return wrong;
          const Holdings before = Holdings::now();
          if (std::string wrong = cycle(c, kCycles); !wrong.empty()) return wrong;
          const Holdings after = Holdings::now();
          if (after.descriptors != before.descriptors) return "descriptors";
          if (after.threads != before.threads) return "threads";
        // Sanitizers map memory of their own, and keep what was freed for a while.
#ifndef TUTTI_SANITIZE
          if (after.mappings > before.mappings + 8) return "mappings";
          if (after.resident_kib > before.resident_kib + 4096) {
            return "memory: " + std::to_string(after.resident_kib - before.resident_kib) + " KiB";
          }
#endif
          return {};
        },
        nullptr, 300);
    for (const Exit& exit : exits) EXPECT_EQ(exit.output, "") << transport;
  }
}

}  // namespace
}  // namespace tutti::test
