// Allocated memory: the same results as with any other, on every mixture of the two; and its life.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "support/values.h"
#include "support/world.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Sizes around those at which the engine changes its ways.
constexpr std::int64_t kCounts[] = {1, 8191, 8193, 100'003, 131'072, 300'001, 2'200'000};

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
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::generate_n(data(), own_.size(), [&] { return uniform(random); });
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
      for (const Exit& exit :
           run_processes(ranks, config, [&](Communicator& c) { return compare_all(c, seed); })) {
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
                      HasSubstr("cannot allocate 562949953421312 bytes: this host has "),
                      HasSubstr("allocate less or free some")));
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

std::set<std::string> shared_memory_files() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    names.insert(entry.path().filename());
  }
  return names;
}

TEST(MemoryTest, ACrashLeavesNothingAndNamesTheRank) {
  const auto before = shared_memory_files();
  Config config = quick_config();
  config.transports = {"shm"};
  const auto exits = run_processes(3, config, [](Communicator& c) -> std::string {
    const Memory memory = allocated(c, 4 << 20);
    for (int round = 0;; ++round) {
      if (c.rank() == 1 && round == 20) ::kill(::getpid(), SIGKILL);
      const Status status =
          c.all_reduce(memory.data(), memory.data(), 1 << 20, DataType::float32, ReduceOp::max);
      if (!status.ok()) return std::string(status.message());
    }
  });
  EXPECT_THAT(exits[0].output, HasSubstr("rank 1 "));
  EXPECT_THAT(exits[2].output, HasSubstr("rank 1 "));
  EXPECT_EQ(shared_memory_files(), before);
}

}  // namespace
}  // namespace tutti::test
