// Blocks that several threads divide among them.
#include "runtime/crew.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "device/reduce.h"
#include "support/values.h"

namespace tutti::test {
namespace {

using runtime::Crew;
using testing::HasSubstr;

constexpr std::int64_t kLong = 1 << 30;  // an operation that wakes sleepers
constexpr std::int64_t kShareBytes = 4096;

std::unique_ptr<Crew> crew_of(int threads) {
  Result<std::unique_ptr<Crew>> crew = Crew::create(threads);
  EXPECT_TRUE(crew.ok()) << crew.status().message();
  return *std::move(crew);
}

// The threads of this process that have the name.
std::vector<std::filesystem::path> workers() {
  std::vector<std::filesystem::path> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    if (std::string name; std::getline(file, name) && name == "tutti-crew") {
      found.push_back(task.path());
    }
  }
  return found;
}

std::string status_of(const std::filesystem::path& task, const std::string& field) {
  std::ifstream file(task / "status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) return line.substr(field.size() + 2);
  }
  return {};
}

// That a thread sleeps or has ended is an event for nobody: it is asked for until the deadline.
template <typename Condition>
bool comes_true(const Condition& condition) {
  for (const Deadline deadline = Deadline::after_ms(20'000); !deadline.passed();) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

bool all_asleep() {
  for (const auto& task : workers()) {
    if (!status_of(task, "State").starts_with("S")) return false;
  }
  return true;
}

TEST(Crew, TakesEveryByteOnce) {
  for (const int threads : {1, 2, 3, 5}) {
    const auto crew = crew_of(threads);
    EXPECT_EQ(crew->threads(), threads);
    crew->expect(kLong);
    for (const std::int64_t bytes :
         {std::int64_t{0}, std::int64_t{1}, kShareBytes, 2 * kShareBytes - 1, 2 * kShareBytes,
          2 * kShareBytes + 1, 7 * kShareBytes + 63, 64 * kShareBytes}) {
      std::vector<std::atomic<int>> taken(static_cast<std::size_t>(bytes));
      crew->divide(bytes, kShareBytes, [&](int thread, std::int64_t begin, std::int64_t n) {
        EXPECT_LT(thread, threads);
        EXPECT_EQ(begin % kShareBytes, 0);
        EXPECT_LE(n, threads > 1 && bytes >= 2 * kShareBytes ? kShareBytes : bytes);
        for (std::int64_t i = begin; i < begin + n; ++i) ++taken[static_cast<std::size_t>(i)];
      });
      for (const auto& count : taken) ASSERT_EQ(count.load(), 1) << bytes << " by " << threads;
    }
  }
}

TEST(Crew, BlocksFollowEachOtherClosely) {
  const auto crew = crew_of(3);
  crew->expect(kLong);
  std::vector<std::int64_t> sums(3);
  std::int64_t expected = 0;
  for (std::int64_t block = 0; block < 20'000; ++block) {
    const std::int64_t bytes = (2 + block % 7) * 64;
    crew->divide(bytes, 64, [&sums, block](int thread, std::int64_t begin, std::int64_t n) {
      sums[static_cast<std::size_t>(thread)] += (block + 1) * (begin + n);
    });
    for (std::int64_t end = 64; end <= bytes; end += 64) expected += (block + 1) * end;
  }
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), std::int64_t{0}), expected);
}

// The bits are those of one thread, for every type and operator.
TEST(Crew, ReducesLikeOneThread) {
  std::mt19937_64 random(test_seed());
  const auto crew = crew_of(2);
  crew->expect(kLong);
  constexpr std::size_t kBytes = 40 * 1024 + 8;
  std::vector<std::uint64_t> a(kBytes / 8);
  std::vector<std::uint64_t> b(kBytes / 8);
  for (std::uint64_t& value : a) value = random();
  for (std::uint64_t& value : b) value = random();
  std::vector<std::byte> want(kBytes);
  std::vector<std::byte> got(kBytes);
  for (int type = 0; type < kDataTypeCount; ++type) {
    for (int op = 0; op < kReduceOpCount; ++op) {
      const auto data_type = static_cast<DataType>(type);
      if (!supports(data_type, static_cast<ReduceOp>(op))) continue;
      const device::Kernels& kernels = device::kernels(data_type, static_cast<ReduceOp>(op));
      const std::size_t element = size_of(data_type);
      kernels.reduce(want.data(), a.data(), b.data(), kBytes / element, device::Store::cached);
      crew->divide(kBytes, kShareBytes, [&](int, std::int64_t begin, std::int64_t n) {
        const auto at = [begin](void* data) { return static_cast<std::byte*>(data) + begin; };
        kernels.reduce(at(got.data()), at(a.data()), at(b.data()),
                       static_cast<std::size_t>(n) / element, device::Store::cached);
      });
      ASSERT_EQ(got, want) << name(data_type) << " " << name(static_cast<ReduceOp>(op));
    }
  }
}

// It does not go on without them: whoever waits here has been woken.
TEST(Crew, SleepersComeToALongOperation) {
  const auto crew = crew_of(3);
  for (int repeat = 0; repeat < 5; ++repeat) {
    ASSERT_TRUE(comes_true(all_asleep));
    crew->expect(kLong);
    std::mutex mutex;
    std::set<int> came;
    crew->divide(3 * 64, 64, [&](int thread, std::int64_t, std::int64_t) {
      {
        const std::lock_guard lock(mutex);
        came.insert(thread);
      }
      EXPECT_TRUE(comes_true([&] {
        const std::lock_guard lock(mutex);
        return came.size() == 3;
      }));
    });
  }
}

TEST(Crew, ShortOperationsWakeNobody) {
  const auto crew = crew_of(2);
  ASSERT_TRUE(comes_true([] { return workers().size() == 1 && all_asleep(); }));
  const std::filesystem::path worker = workers().front();
  const auto switches = [&] { return status_of(worker, "voluntary_ctxt_switches"); };
  const std::string before = switches();
  crew->expect(1 << 20);
  for (int i = 0; i < 100; ++i) {
    crew->divide(1 << 20, 64 << 10,
                 [](int thread, std::int64_t, std::int64_t) { EXPECT_EQ(thread, 0); });
    crew->divide(8, 64 << 10, [](int thread, std::int64_t, std::int64_t) { EXPECT_EQ(thread, 0); });
  }
  EXPECT_EQ(switches(), before);
}

TEST(Crew, WorkersBlockSignalsAndEndWithIt) {
  {
    const auto crew = crew_of(4);
    ASSERT_TRUE(comes_true([] { return workers().size() == 3; }));
    for (const auto& worker : workers()) {
      const unsigned long blocked = std::stoul(status_of(worker, "SigBlk"), nullptr, 16);
      for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGCHLD, SIGPROF}) {
        EXPECT_NE(blocked & (1UL << (signal - 1)), 0U) << signal;
      }
    }
  }
  // The kernel lists a joined thread a moment longer.
  EXPECT_TRUE(comes_true([] { return workers().empty(); }));
}

TEST(Crew, OneThreadHasNoWorkers) {
  const auto crew = crew_of(1);
  // The kernel lists a joined thread a moment longer.
  EXPECT_TRUE(comes_true([] { return workers().empty(); }));
  crew->dismiss();
}

TEST(Crew, WorkersRunWhereTheirMakerMay) {
  cpu_set_t before;
  ASSERT_EQ(::pthread_getaffinity_np(::pthread_self(), sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(::pthread_setaffinity_np(::pthread_self(), sizeof one, &one), 0);
  const auto crew = crew_of(2);
  EXPECT_TRUE(comes_true([] { return workers().size() == 1; }));
  for (const auto& worker : workers()) {
    EXPECT_EQ(status_of(worker, "Cpus_allowed_list"),
              status_of("/proc/thread-self", "Cpus_allowed_list"));
  }
  ::pthread_setaffinity_np(::pthread_self(), sizeof before, &before);
}

// By another thread, at any moment: all is done nevertheless, and the workers are gone.
TEST(Crew, IsDismissedAtWork) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    const auto crew = crew_of(3);
    crew->expect(kLong);
    std::thread other([&] { crew->dismiss(); });
    for (int block = 0; block < 20; ++block) {
      std::atomic<std::int64_t> done{0};
      crew->divide(64 * 64, 64, [&](int, std::int64_t, std::int64_t n) { done += n; });
      ASSERT_EQ(done.load(), 64 * 64);
    }
    other.join();
    EXPECT_TRUE(comes_true([] { return workers().empty(); }));
  }
}

// Whatever sleeps or looks for work in the parent: it holds no lock that the child needs.
TEST(Crew, DoesNotHoldUpForkOrExit) {
  auto crew = crew_of(3);
  crew->expect(kLong);
  crew->divide(64 * 64, 64, [](int, std::int64_t, std::int64_t) {});
  EXPECT_EXIT(
      {
        ::alarm(20);
        std::atomic<std::int64_t> done{0};
        crew->divide(64 * 64, 64, [&](int, std::int64_t, std::int64_t n) { done += n; });
        crew.reset();
        if (done.load() != 64 * 64) std::exit(4);  // NOLINT(concurrency-mt-unsafe)
        std::exit(3);                              // NOLINT(concurrency-mt-unsafe)
      },
      testing::ExitedWithCode(3), "");
}

TEST(Crew, SaysWhenAThreadCannotBeStarted) {
  // A default stack larger than the address space: no thread can be made.
  pthread_attr_t before;
  ASSERT_EQ(::pthread_getattr_default_np(&before), 0);
  pthread_attr_t huge;
  ::pthread_attr_init(&huge);
  ::pthread_attr_setstacksize(&huge, std::size_t{1} << 50);
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  const Status status = Crew::create(3).status();
  ::pthread_setattr_default_np(&before);
  EXPECT_EQ(status.code(), Code::unavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cannot start thread 2 of the 3 that copy and reduce: "));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("raise the limits on threads and memory (ulimit -u, ulimit -v, pids.max), "
                        "or set TUTTI_THREADS=1"));
}

TEST(Crew, AsManyAsTheCoresForEachRank) {
  EXPECT_EQ(Crew::threads_for(1, 2), 1);
  EXPECT_EQ(Crew::threads_for(2, 2), 1);
  EXPECT_EQ(Crew::threads_for(3, 2), 1);
  EXPECT_EQ(Crew::threads_for(4, 2), 2);
  EXPECT_EQ(Crew::threads_for(64, 8), 4);
}

}  // namespace
}  // namespace tutti::test
