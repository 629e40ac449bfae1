// Allocated memory: the same results as with any other, on every mixture of the two; and its life.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "support/values.h"
#include "support/world.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Sizes around those at which the engine changes its ways.
constexpr std::int64_t kCounts[] = {1,    256,  257,     1024,    1025,    4097,
                                    8191, 8193, 100'003, 131'072, 300'001, 2'200'000};

Memory allocated(Communicator& c, std::size_t bytes) {
  auto memory = c.allocate(bytes);
  EXPECT_TRUE(memory.ok()) << memory.status().message();
  return *std::move(memory);
}

// A buffer of floats, allocated or not.
class Buffer {
 public:
  Buffer(Communicator& c, bool shared, std::int64_t count) : own_(static_cast<std::size_t>(count)) {
    if (shared) memory_ = allocated(c, own_.size() * sizeof(float));
  }
  float* data() { return memory_ ? memory_->as<float>().data() : own_.data(); }
  void fill(unsigned seed) {
    // The generator of Numerical Recipes: with the library's a sanitizer takes minutes.
    std::uint32_t random = seed;
    for (float& value : std::span(data(), own_.size())) {
      random = random * 1664525U + 1013904223U;
      value = static_cast<float>(static_cast<std::int32_t>(random)) * 0x1p-31F;
    }
  }
  bool same_as(Buffer& other) {
    return std::memcmp(data(), other.data(), own_.size() * sizeof(float)) == 0;
  }

 private:
  std::vector<float> own_;
  std::optional<Memory> memory_;
};

// What a rank does about its buffers in the k-th call.
struct Mixture {
  bool send = false;
  bool recv = false;
  bool in_place = false;
};

Mixture drawn(std::mt19937& random) {
  return {random() % 4 != 0, random() % 4 != 0, random() % 3 == 0};
}

std::string compare(Communicator& c, std::int64_t count, Mixture mix, ReduceOp op, unsigned seed) {
  const auto own = seed + static_cast<unsigned>(c.rank());
  Buffer plain(c, false, count);
  Buffer expected(c, false, count);
  plain.fill(own);
  Status status = c.all_reduce(plain.data(), expected.data(), count, DataType::float32, op);
  if (!status.ok()) return std::string(status.message());

  Buffer send(c, mix.send, count);
  Buffer recv(c, mix.recv, count);
  Buffer& out = mix.in_place ? send : recv;
  send.fill(own);
  status = c.all_reduce(send.data(), out.data(), count, DataType::float32, op);
  if (!status.ok()) return std::string(status.message());
  if (!out.same_as(expected)) return "another all_reduce";
  if (!mix.in_place && !send.same_as(plain)) return "the input was written to";

  const int root = static_cast<int>(seed % static_cast<unsigned>(c.size()));
  Buffer data(c, mix.send, count);
  Buffer copy(c, mix.recv, count);
  data.fill(seed + static_cast<unsigned>(root));
  status = c.broadcast(data.data(), copy.data(), count, DataType::float32, root);
  if (!status.ok()) return std::string(status.message());
  return copy.same_as(data) ? "" : "another broadcast";
}

std::string compare_all(Communicator& c, unsigned seed) {
  for (const std::int64_t count : kCounts) {
    for (int k = 0; k < 6; ++k) {
      // The first call of all-allocated memory, then what each rank likes.
      std::mt19937 random(seed + static_cast<unsigned>(100 * k + c.rank()));
      const Mixture mix = k < 2 ? Mixture{true, true, k == 1} : drawn(random);
      std::string wrong = compare(c, count, mix, k % 2 ? ReduceOp::average : ReduceOp::sum,
                                  seed + static_cast<unsigned>(k));
      if (!wrong.empty()) return wrong + ", count " + std::to_string(count);
    }
  }
  const Status status = c.barrier();  // nobody leaves before all are through
  return std::string(status.message());
}

TEST(MemoryTest, ResultsAreBitwiseThoseOfOtherMemoryAmongThreads) {
  const auto seed = static_cast<unsigned>(test_seed());
  for (const int ranks : {1, 2, 3, 5}) {
    run_threads(ranks, quick_config(),
                [&](Communicator& c) { EXPECT_EQ(compare_all(c, seed), "") << ranks << " ranks"; });
  }
}

TEST(MemoryTest, ResultsAreBitwiseThoseOfOtherMemoryAmongProcesses) {
  const auto seed = static_cast<unsigned>(test_seed());
  for (const char* transport : {"shm", "tcp"}) {
    Config config = quick_config();
    config.transports = {transport};
    for (const int ranks : {2, 3}) {
      // ThreadSanitizer takes 25 s for it on two free cores.
      constexpr int kTimeoutS = 240;
      const auto body = [&](Communicator& c) { return compare_all(c, seed); };
      for (const Exit& exit : run_processes(ranks, config, body, nullptr, kTimeoutS)) {
        EXPECT_EQ(exit.status, 0);
        EXPECT_EQ(exit.output, "") << transport << ", " << ranks << " ranks";
      }
    }
  }
}

TEST(MemoryTest, MemoryIsOwnedByOneAndOutlivesTheCommunicator) {
  std::vector<Memory> kept(2);
  run_threads(2, quick_config(), [&](Communicator& c) {
    Memory memory = allocated(c, 10);
    EXPECT_EQ(memory.bytes(), 10U);
    EXPECT_EQ(memory.as<std::uint32_t>().size(), 2U);
    memory.as<std::uint32_t>()[1] = 5;
    Memory& mine = kept[static_cast<std::size_t>(c.rank())];
    mine = std::move(memory);
    EXPECT_EQ(memory.data(), nullptr);  // NOLINT(bugprone-use-after-move): it is nothing now
    EXPECT_EQ(memory.bytes(), 0U);
    EXPECT_EQ(allocated(c, 0).data(), nullptr);
  });
  EXPECT_EQ(kept[0].as<std::uint32_t>()[1], 5U);
}

TEST(MemoryTest, TooMuchIsAnErrorThatNamesTheRankAndIsNotFinal) {
  run_threads(2, quick_config(), [](Communicator& c) {
    const auto refused = c.allocate(std::size_t{1} << 49);
    EXPECT_EQ(refused.status().code(), Code::unavailable);
    EXPECT_THAT(std::string(refused.status().message()),
                AllOf(StartsWith("rank " + std::to_string(c.rank()) + " (host "),
                      HasSubstr("cannot allocate 562949953421312 bytes: "),
                      HasSubstr(" bytes of memory left; allocate less")));
    EXPECT_TRUE(c.barrier().ok());
  });
}

// Calls that do not match are told apart on the direct way too.
TEST(MemoryTest, AMismatchNamesBothCalls) {
  run_threads(2, quick_config(), [](Communicator& c) {
    const std::int64_t count = c.rank() == 0 ? 100'000 : 100'001;
    const Memory memory = allocated(c, 400'004);
    const Status status =
        c.all_reduce(memory.data(), memory.data(), count, DataType::float32, ReduceOp::sum);
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("all_reduce(float32, 100000, sum)"),
                      HasSubstr("all_reduce(float32, 100001, sum)")));
  });
}

// Bytes of memory files that this process has mapped.
std::size_t mapped_bytes() {
  std::ifstream maps("/proc/self/maps");
  std::size_t sum = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/memfd:") == std::string::npos) continue;
    std::size_t end = 0;
    const std::size_t begin = std::stoull(line, &end, 16);
    sum += std::stoull(line.substr(end + 1), nullptr, 16) - begin;
  }
  return sum;
}

// The results are the same either way, so what tells is what was mapped: every peer's buffers by
// every rank, and the root's by the others.
TEST(MemoryTest, PeersReachTheMemoryItself) {
  Config config = quick_config();
  config.transports = {"shm"};
  constexpr std::int64_t kCount = 1 << 20;
  constexpr std::size_t kBytes = kCount * sizeof(float);
  const auto exits = run_processes(3, config, [](Communicator& c) -> std::string {
    std::vector<float> plain(kCount);
    const auto all_reduce = [&](void* send, void* recv) {
      return c.all_reduce(send, recv, kCount, DataType::float32, ReduceOp::sum).ok();
    };
    if (!all_reduce(plain.data(), plain.data())) return "all_reduce";
    const Memory send = allocated(c, kBytes);
    const Memory recv = allocated(c, kBytes);
    const std::size_t before = mapped_bytes();
    if (!all_reduce(send.data(), recv.data())) return "direct all_reduce";
    if (mapped_bytes() != before + 2 * kBytes * 2) return "all_reduce maps something else";
    const Memory other = allocated(c, kBytes);
    const std::size_t then = mapped_bytes();
    if (!c.broadcast(other.data(), plain.data(), kCount, DataType::float32, 1).ok()) {
      return "broadcast";
    }
    const std::size_t expected = c.rank() == 1 ? 0 : kBytes;
    if (mapped_bytes() != then + expected) return "broadcast maps something else";
    return std::string(c.barrier().message());
  });
  for (const Exit& exit : exits) EXPECT_EQ(exit.output, "");
}

#ifndef TUTTI_SANITIZE  // sanitizers need address space without limit
TEST(MemoryTest, AMappingThatFailsNamesBothRanksAndEndsTheCallOnAll) {
  Config config = quick_config();
  config.transports = {"shm"};
  const auto exits = run_processes(2, config, [](Communicator& c) -> std::string {
    const Memory memory = allocated(c, 1 << 20);
    if (!c.barrier().ok()) return "barrier";
    const rlimit none{.rlim_cur = 4096, .rlim_max = 4096};
    if (c.rank() == 1 && ::setrlimit(RLIMIT_AS, &none) != 0) return "setrlimit";
    const Status status =
        c.all_reduce(memory.data(), memory.data(), 1 << 18, DataType::float32, ReduceOp::sum);
    // The communicator has ended with that.
    if (c.barrier().message() != status.message()) return "the barrier says something else";
    return std::string(status.message());
  });
  for (const Exit& exit : exits) {
    EXPECT_EQ(exit.status, 0);
    EXPECT_THAT(exit.output,
                AllOf(HasSubstr("all_reduce(float32, 262144, sum)"),
                      ContainsRegex("rank 1 \\(host .+\\) cannot map 1048576 bytes that rank 0 "
                                    "\\(host .+\\) allocated: Cannot allocate memory.*; raise the "
                                    "limits of the former .*, or use memory that is not allocated "
                                    "by the communicator")));
  }
}
#endif

// A rank dies at any time in a row of long calls, and another is held up in the midst of them. When
// the third has its error it has its memory back too: nobody writes to it any more.
TEST(MemoryTest, AfterACrashTheMemoryIsOnesOwn) {
  Config config = quick_config();
  config.transports = {"shm"};
  std::mt19937 random(static_cast<unsigned>(test_seed()));
  for (int round = 0; round < 4; ++round) {
    const auto exits = run_processes(
        3, config,
        [](Communicator& c) -> std::string {
          constexpr std::int64_t kCount = 8 << 20;
          const Memory send = allocated(c, kCount * sizeof(float));
          const Memory recv = allocated(c, kCount * sizeof(float));
          Status status;
          while (status.ok()) {
            status =
                c.all_reduce(send.data(), recv.data(), kCount, DataType::float32, ReduceOp::max);
          }
          const auto bytes = std::span(static_cast<std::byte*>(recv.data()), recv.bytes());
          std::ranges::fill(bytes, std::byte{0x5a});
          // Longer than the third rank is held up.
          const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
          while (std::chrono::steady_clock::now() < end) {
            if (std::ranges::any_of(bytes, [](std::byte b) { return b != std::byte{0x5a}; })) {
              return "a peer wrote after the call had failed";
            }
          }
          return std::string(status.message());
        },
        [&](const std::vector<pid_t>& ranks) {
          const auto pause = [](std::int64_t ms) {
            const std::chrono::milliseconds time(ms);
            std::this_thread::sleep_for(time);  // tidy: allow sleep: how long a rank is held up
          };
          pause(300 + static_cast<std::int64_t>(random() % 400));  // into the calls, wherever
          ::kill(ranks[2], SIGSTOP);
          ::kill(ranks[1], SIGKILL);
          pause(500);
          ::kill(ranks[2], SIGCONT);
        });
    EXPECT_TRUE(WIFSIGNALED(exits[1].status));
    EXPECT_THAT(exits[0].output, HasSubstr("rank 1 "));
    EXPECT_THAT(exits[2].output, HasSubstr("rank 1 "));
  }
}

}  // namespace
}  // namespace tutti::test
