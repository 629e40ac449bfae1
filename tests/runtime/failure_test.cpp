// Ranks that die or fall silent, as real processes.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "support/world.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

using testing::HasSubstr;

// Makes calls until one fails; the message and how long that last call took.
std::string call_until_error(Communicator& communicator, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count), 1);
  for (;;) {
    const auto before = std::chrono::steady_clock::now();
    const Status status = communicator.all_reduce(values.data(), values.data(), count,
                                                  DataType::float32, ReduceOp::max);
    if (status.ok()) continue;
    const auto took = std::chrono::steady_clock::now() - before;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
    return std::string(ms < 1000 ? "fast " : "slow ") + std::string(name(status.code())) + " " +
           std::to_string(status.failed_rank()) + " " + std::string(status.message());
  }
}

std::vector<std::string> shared_memory_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct Scene {
  const char* title;
  std::vector<std::string> transports;
  std::int64_t count;
  int victim;
};

class KilledRank : public testing::TestWithParam<Scene> {};

TEST_P(KilledRank, IsNamedByAllOthersWithinASecondAndLeavesNothing) {
  const Scene& scene = GetParam();
  const auto before = shared_memory_files();
  Config config = quick_config();
  config.transports = scene.transports;
  int ready[2];  // every rank tells that it is in the middle of its run
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const Fd ready_read(ready[0]);
  const Fd ready_write(ready[1]);
  const auto exits = run_processes(
      4, config,
      [&](Communicator& communicator) {
        if (Status status = communicator.barrier(); !status.ok()) return std::string("barrier");
        if (::write(ready[1], "x", 1) != 1) return std::string("pipe");
        return call_until_error(communicator, scene.count);
      },
      [&](const std::vector<pid_t>& pids) {
        char byte = 0;
        for (int i = 0; i < 4; ++i) ASSERT_EQ(::read(ready[0], &byte, 1), 1);
        ::kill(pids[static_cast<std::size_t>(scene.victim)], SIGKILL);
      });
  for (int rank = 0; rank < 4; ++rank) {
    const Exit& exit = exits[static_cast<std::size_t>(rank)];
    if (rank == scene.victim) {
      EXPECT_TRUE(WIFSIGNALED(exit.status));
      continue;
    }
    EXPECT_THAT(exit.output, HasSubstr("fast peer_failed " + std::to_string(scene.victim)));
    EXPECT_THAT(exit.output, HasSubstr("rank " + std::to_string(scene.victim) + " (host "));
  }
  EXPECT_EQ(shared_memory_files(), before);
}

INSTANTIATE_TEST_SUITE_P(Scenes, KilledRank,
                         testing::Values(Scene{"shm_small", {"shm", "tcp"}, 2, 0},
                                         Scene{"shm_large", {"shm", "tcp"}, 3'000'000, 3},
                                         Scene{"tcp_small", {"tcp"}, 2, 1},
                                         Scene{"tcp_large", {"tcp"}, 3'000'000, 2}),
                         [](const auto& info) { return std::string(info.param.title); });

// A rank that is stopped keeps its connections open: only the deadline finds it.
TEST(SilentRank, IsNamedWhenTheDeadlinePasses) {
  for (const char* transport : {"shm", "tcp"}) {
    Config config = quick_config();
    config.transports = {transport};
    config.timeout_ms = 1500;
    int ready[2];
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const Fd ready_read(ready[0]);
    const Fd ready_write(ready[1]);
    const auto exits = run_processes(
        4, config,
        [&](Communicator& communicator) {
          if (Status status = communicator.barrier(); !status.ok()) return std::string("barrier");
          if (communicator.rank() == 2) {
            if (::write(ready[1], "x", 1) != 1) return std::string("pipe");
            ::raise(SIGSTOP);
            return std::string("continued");
          }
          int value = 1;
          const Status status =
              communicator.all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum);
          return std::string(name(status.code())) + " " + std::string(status.message());
        },
        [&](const std::vector<pid_t>& pids) {
          char byte = 0;
          ASSERT_EQ(::read(ready[0], &byte, 1), 1);
          int status = 0;
          ::waitpid(pids[2], &status, WUNTRACED);
          ASSERT_TRUE(WIFSTOPPED(status));
          // Stays stopped until the others have given up, which they do by themselves.
          siginfo_t info{};
          for (const int rank : {0, 1, 3}) {
            ::waitid(P_PID, static_cast<id_t>(pids[static_cast<std::size_t>(rank)]), &info,
                     WEXITED | WNOWAIT);
          }
          ::kill(pids[2], SIGKILL);
        });
    for (const int rank : {0, 1, 3}) {
      const std::string& text = exits[static_cast<std::size_t>(rank)].output;
      EXPECT_THAT(text, HasSubstr("timed_out")) << transport;
      EXPECT_THAT(text, HasSubstr("rank 2 (host ")) << transport;
      EXPECT_THAT(text, HasSubstr("all_reduce(int32, 1, sum)")) << transport;
    }
  }
}

// Ranks of one process read each other's buffers by their addresses: a call that fails returns once
// nobody is in the midst of that, since its caller may unmap them.
TEST(AbortedThreads, ReadNoBufferThatWasGivenBack) {
  constexpr std::size_t kBytes = 16 << 20;
  constexpr std::int64_t kCount = kBytes / sizeof(float);
  constexpr int kWays = 6;
  constexpr std::array<std::int64_t, 3> kCounts{kCount, kCount, kCount};
  const auto map = [](std::size_t bytes) {
    return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  };
  for (int round = 0; round < 40; ++round) {
    run_threads(3, quick_config(), [&](Communicator& c) {
      const Result<Memory> lent = c.allocate(kBytes);
      ASSERT_TRUE(lent.ok()) << lent.status().message();
      void* const send = map(3 * kBytes);
      void* const recv = map(3 * kBytes);
      ASSERT_TRUE(send != MAP_FAILED && recv != MAP_FAILED);
      std::thread killer;
      Status status = c.barrier();
      if (c.rank() == 0) {
        killer = std::thread([&c, round] {
          // Where in the calls the abort comes: another place in each round.
          std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
          c.abort();
        });
      }
      while (status.ok()) {
        const auto type = DataType::float32;
        status = round % kWays == 0   ? c.all_gather(send, recv, kCount, type)
                 : round % kWays == 1 ? c.reduce_scatter(send, recv, kCount, type, ReduceOp::sum)
                 : round % kWays == 2 ? c.all_reduce(send, recv, 30'000, type, ReduceOp::sum)
                 : round % kWays == 3 ? c.all_to_all_v(send, {kCounts}, recv, {kCounts}, type)
                 : round % kWays == 4 ? c.send_recv(lent->data(), kCount, (c.rank() + 1) % 3, recv,
                                                    kCount, (c.rank() + 2) % 3, type)
                                      : c.send_recv(send, kCount, (c.rank() + 1) % 3, recv, kCount,
                                                    (c.rank() + 2) % 3, type);
      }
      ::munmap(send, 3 * kBytes);
      ::munmap(recv, 3 * kBytes);
      EXPECT_EQ(status.code(), Code::aborted) << status.message();
      if (killer.joinable()) killer.join();
    });
  }
}

}  // namespace
}  // namespace tutti::test
