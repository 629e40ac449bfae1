// Ranks whose calls do not match: every rank gets one error that names both calls; nothing hangs,
// and nobody gets wrong data. Over every transport, and over the native engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "support/world.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;

constexpr int kRanks = 3;
constexpr int kOdd = 1;  // the rank whose call differs
constexpr std::int64_t kCount = 5000;

struct Buffers {
  std::vector<float> a = std::vector<float>(3 * kCount + 3);
  std::vector<float> b = std::vector<float>(3 * kCount + 3);
};

using Make = std::function<Status(Communicator&, Buffers&)>;

struct Pair {
  const char* name;
  Make right;
  std::string right_text;
  Make wrong;
  std::string wrong_text;
};

Make all_reduce(std::int64_t count, DataType type = DataType::float32,
                Reduction op = ReduceOp::sum) {
  return [=](Communicator& c, Buffers& m) {
    return c.all_reduce(m.a.data(), m.b.data(), count, type, op);
  };
}
Make broadcast(std::int64_t count, int root) {
  return [=](Communicator& c, Buffers& m) {
    return c.broadcast(m.a.data(), m.b.data(), count, DataType::float32, root);
  };
}
Make all_gather(std::int64_t count) {
  return [=](Communicator& c, Buffers& m) {
    return c.all_gather(m.a.data(), m.b.data(), count, DataType::float32);
  };
}
Make all_gather_v(std::vector<std::int64_t> counts) {
  return [counts](Communicator& c, Buffers& m) {
    return c.all_gather_v(m.a.data(), m.b.data(), {counts}, DataType::float32);
  };
}
Make reduce(int root, Reduction op) {
  return [=](Communicator& c, Buffers& m) {
    return c.reduce(m.a.data(), m.b.data(), kCount, DataType::float32, op, root);
  };
}
Make all_to_all(std::int64_t count) {
  return [=](Communicator& c, Buffers& m) {
    return c.all_to_all(m.a.data(), m.b.data(), count, DataType::float32);
  };
}
Make barrier() {
  return [](Communicator& c, Buffers&) { return c.barrier(); };
}

std::vector<Pair> pairs() {
  return {
      {"collective", all_reduce(kCount), "all_reduce(float32, 5000, sum)", broadcast(kCount, 0),
       "broadcast(float32, 5000, root 0)"},
      {"small_collective", all_reduce(1), "all_reduce(float32, 1, sum)", barrier(), "barrier()"},
      {"count", all_reduce(kCount), "all_reduce(float32, 5000, sum)", all_reduce(kCount + 1),
       "all_reduce(float32, 5001, sum)"},
      {"small_count", all_reduce(2), "all_reduce(float32, 2, sum)", all_reduce(kCount),
       "all_reduce(float32, 5000, sum)"},
      {"zero_count", all_reduce(kCount), "all_reduce(float32, 5000, sum)", all_reduce(0),
       "all_reduce(float32, 0, sum)"},
      {"type", all_reduce(8), "all_reduce(float32, 8, sum)", all_reduce(8, DataType::int32),
       "all_reduce(int32, 8, sum)"},
      {"operator", all_reduce(8), "all_reduce(float32, 8, sum)",
       all_reduce(8, DataType::float32, ReduceOp::max), "all_reduce(float32, 8, max)"},
      {"premultiplied", all_reduce(8), "all_reduce(float32, 8, sum)",
       all_reduce(8, DataType::float32, Reduction::premultiplied_sum(2.0)),
       "all_reduce(float32, 8, premultiplied sum)"},
      {"root", broadcast(kCount, 0), "broadcast(float32, 5000, root 0)", broadcast(kCount, 1),
       "broadcast(float32, 5000, root 1)"},
      {"root_of_a_reduce", reduce(2, ReduceOp::sum), "reduce(float32, 5000, sum, root 2)",
       reduce(0, ReduceOp::sum), "reduce(float32, 5000, sum, root 0)"},
      {"operator_of_a_reduce", reduce(0, ReduceOp::sum), "reduce(float32, 5000, sum, root 0)",
       reduce(0, ReduceOp::min), "reduce(float32, 5000, min, root 0)"},
      {"uneven_counts", all_gather_v({10, 20, 30}),
       "all_gather_v(float32, 60 in all) with other counts", all_gather_v({20, 10, 30}),
       "all_gather_v(float32, 60 in all)"},
      {"even_and_uneven", all_gather(20), "all_gather(float32, 20)", all_gather_v({20, 20, 20}),
       "all_gather_v(float32, 60 in all)"},
      {"block_count", all_to_all(100), "all_to_all(float32, 100)", all_to_all(101),
       "all_to_all(float32, 101)"},
  };
}

struct Scene {
  Pair pair;
  const char* transport;
};

class Mismatch : public testing::TestWithParam<Scene> {};

TEST_P(Mismatch, IsOneErrorOnEveryRankThatNamesBothCalls) {
  Config config = quick_config();
  config.transports = {GetParam().transport};
  const Pair& pair = GetParam().pair;
  std::mutex mutex;
  std::vector<std::string> messages;
  run_threads(kRanks, config, [&](Communicator& communicator) {
    Buffers memory;
    // One that matches first: the number in the message is 2.
    ASSERT_TRUE(communicator.barrier().ok());
    const bool odd = communicator.rank() == kOdd;
    Status status = (odd ? pair.wrong : pair.right)(communicator, memory);
    // A rank may be done before the others show what they called (a root, say): the next call, or
    // the control path, tells it.
    while (status.ok()) {
      status = communicator.barrier();
      if (status.ok()) status = communicator.status();
    }
    EXPECT_EQ(status.code(), Code::mismatch) << status.message();
    const std::lock_guard lock(mutex);
    messages.emplace_back(status.message());
  });
  ASSERT_EQ(messages.size(), std::size_t{kRanks});
  const std::string host = [] {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return std::string(name.data());
  }();
  const std::string text = fmt::format(
      "rank 1 (host {}) called {} as operation 2 while rank 0 (host {}) called {}; every rank must "
      "make the same calls in the same order",
      host, pair.wrong_text, host, pair.right_text);
  for (const std::string& message : messages) EXPECT_EQ(message, text);
}

std::vector<Scene> scenes() {
  std::vector<Scene> scenes;
  for (const char* transport : {"loopback", "tcp"}) {
    for (const Pair& pair : pairs()) scenes.push_back({pair, transport});
  }
  return scenes;
}

INSTANTIATE_TEST_SUITE_P(Kinds, Mismatch, testing::ValuesIn(scenes()), [](const auto& info) {
  return std::string(info.param.pair.name) + "_" + info.param.transport;
});

Status run_pair(int rank, const Make& zero, const Make& one, Communicator& communicator) {
  Buffers memory;
  return (rank == 0 ? zero : one)(communicator, memory);
}

// What one of the ranks of two gets.
std::vector<Status> outcomes(const Make& zero, const Make& one, const std::string& algorithm = {}) {
  std::vector<Status> outcome(2);
  Config config = quick_config();
  config.algorithm = algorithm;
  run_threads(2, config, [&](Communicator& communicator) {
    const int rank = communicator.rank();
    Status status = run_pair(rank, zero, one, communicator);
    while (status.ok()) {
      status = communicator.barrier();
    }
    outcome[static_cast<std::size_t>(rank)] = status;
  });
  return outcome;
}

Make send(std::int64_t count, DataType type, int peer) {
  return [=](Communicator& c, Buffers& m) { return c.send(m.a.data(), count, type, peer); };
}
Make recv(std::int64_t count, DataType type, int peer) {
  return [=](Communicator& c, Buffers& m) { return c.recv(m.b.data(), count, type, peer); };
}

TEST(MismatchOfPairs, ASendAndItsRecvNameBothCounts) {
  for (const Status& status :
       outcomes(send(5, DataType::float32, 1), recv(6, DataType::float32, 0))) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("rank 1 called recv(float32, 6) from rank 0 while rank 0 called "
                          "send(float32, 5) to it"));
  }
}

TEST(MismatchOfPairs, ASendAndItsRecvNameBothTypes) {
  for (const Status& status :
       outcomes(send(5, DataType::int32, 1), recv(5, DataType::float32, 0))) {
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("rank 1 called recv(float32, 5) from rank 0 while rank 0 called "
                          "send(int32, 5) to it"));
  }
}

// Where a collective goes through ports, as between hosts. On one host the deadline finds it.
TEST(MismatchOfPairs, ACollectiveThatMeetsASendNamesBoth) {
  for (const Status& status :
       outcomes(send(5, DataType::int32, 1), all_to_all(3), "all_to_all:pairwise")) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("rank 1 called all_to_all(float32, 3) as operation 1 while rank 0 called "
                          "send(int32, 5) to rank 1"));
  }
}

TEST(MismatchOfPairs, ARecvThatMeetsACollectiveNamesBoth) {
  for (const Status& status :
       outcomes(all_to_all(3), recv(5, DataType::float32, 0), "all_to_all:pairwise")) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("rank 1 called recv(float32, 5) from rank 0 while rank 0 called a "
                          "collective, its operation 1"));
  }
}

}  // namespace
}  // namespace tutti::test
