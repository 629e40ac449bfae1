// Communicators whose ranks copy and reduce with several threads.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "plan/layout.h"
#include "runtime/collective_case.h"
#include "support/values.h"
#include "support/world.h"

namespace tutti::test {
namespace {

// Of one block: three ranks' are an operation that wakes threads, and lengths are odd.
constexpr std::int64_t kBlockBytes = (1 << 20) + 8 * 27;

#ifdef TUTTI_SANITIZE
constexpr int kCasesOfEach = 2;
#else
constexpr int kCasesOfEach = 6;
#endif

std::vector<Case> cases(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Case> cases;
  for (int kind = 0; kind < kCollectiveCount; ++kind) {
    const auto collective = static_cast<Collective>(kind);
    if (collective == Collective::barrier) continue;
    const bool blocks = plan::has_blocks(collective);
    for (int i = 0; i < kCasesOfEach; ++i) {
      Case one{.collective = collective, .in_place = i % 2 == 1, .uneven = blocks && i % 4 > 1};
      do {
        one.type = static_cast<DataType>(random() % kDataTypeCount);
        one.op = static_cast<ReduceOp>(random() % kReduceOpCount);
      } while (!supports(one.type, one.op));
      one.premultiplied = i == 2 && one.op == ReduceOp::sum && !is_float8(one.type);
      one.root = static_cast<int>(random() % 2);
      const std::int64_t bytes = blocks ? kBlockBytes : 3 * kBlockBytes;
      one.count = bytes / static_cast<std::int64_t>(size_of(one.type));
      cases.push_back(one);
    }
  }
  return cases;
}

std::string run(Communicator& communicator, std::uint64_t seed) {
  for (const Case& one : cases(seed)) {
    const std::string wrong = run_case(communicator, one);
    if (!wrong.empty()) return describe(one) + ": " + wrong;
  }
  return std::string(communicator.barrier().message());
}

Config by(int threads) {
  Config config = quick_config();
  config.threads = threads;
  return config;
}

std::size_t workers() {
  std::size_t found = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    if (std::string name; std::getline(file, name) && name == "tutti-crew") ++found;
  }
  return found;
}

// The kernel lists a thread that has ended a moment longer.
bool all_gone() {
  for (const Deadline deadline = Deadline::after_ms(20'000); !deadline.passed();) {
    if (workers() == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(Threads, ReduceAndCopyLongBlocksOfThreads) {
  const std::uint64_t seed = test_seed();
  for (const int ranks : {2, 3}) {
    run_threads(ranks, by(2),
                [seed](Communicator& communicator) { EXPECT_EQ(run(communicator, seed), ""); });
  }
}

TEST(Threads, ReduceAndCopyLongBlocksOfProcesses) {
  const std::uint64_t seed = test_seed();
  Config config = by(3);
  config.transports = {"shm"};
  for (const int ranks : {2, 4}) {
    const auto body = [seed](Communicator& communicator) { return run(communicator, seed); };
    for (const Exit& exit : run_processes(ranks, config, body)) {
      EXPECT_EQ(exit.status, 0);
      EXPECT_EQ(exit.output, "");
    }
  }
}

TEST(Threads, EndWithTheCommunicator) {
  run_threads(2, by(3), [](Communicator& communicator) {
    ASSERT_TRUE(communicator.barrier().ok());
    EXPECT_EQ(workers(), 4U);
    ASSERT_TRUE(communicator.barrier().ok());
  });
  EXPECT_TRUE(all_gone());
}

TEST(Threads, EndWhenItIsAborted) {
  std::atomic<int> aborted{0};
  run_threads(2, by(2), [&](Communicator& communicator) {
    communicator.abort();
    ++aborted;
    aborted.notify_all();
    for (int seen = aborted.load(); seen < 2; seen = aborted.load()) aborted.wait(seen);
    EXPECT_TRUE(all_gone());
  });
}

TEST(Threads, AreNoneWhereRanksFillTheCores) {
  const int ranks = static_cast<int>(std::max(2U, std::thread::hardware_concurrency()));
  run_threads(ranks, by(0), [](Communicator& communicator) {
    EXPECT_TRUE(communicator.barrier().ok());
    EXPECT_EQ(workers(), 0U);
    EXPECT_TRUE(communicator.barrier().ok());
  });
}

// The ranks of a part would find cores idle that the others use.
TEST(Threads, AreNoMoreInWhatIsSplitOff) {
  const int ranks = 2 * static_cast<int>(std::max(2U, std::thread::hardware_concurrency()));
  run_threads(ranks, by(0), [](Communicator& communicator) {
    auto part = communicator.split(communicator.rank() / 2, 0);
    ASSERT_TRUE(part.ok()) << part.status().message();
    EXPECT_TRUE(communicator.barrier().ok());
    EXPECT_EQ(workers(), 0U);
    EXPECT_TRUE(communicator.barrier().ok());
  });
}

}  // namespace
}  // namespace tutti::test
