// Sends and receives: order, sizes, both directions, groups of them, what cannot be.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "support/values.h"
#include "support/world.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::uint32_t> numbers(int from, int to, std::int64_t count, int k = 0) {
  std::vector<std::uint32_t> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(),
            static_cast<std::uint32_t>(from * 1'000'003 + to * 10'007 + k * 101));
  return values;
}

Config over(const char* transport) {
  Config config = quick_config();
  config.transports = {transport};
  return config;
}

class PointToPointTest : public testing::TestWithParam<const char*> {};

// Empty, inline, one slot exactly, one more byte, many slots.
constexpr std::int64_t kCounts[] = {0, 1, 11, 32'768, 32'769, 1'000'003};

TEST_P(PointToPointTest, ARingOfBlockingCallsDeliversEverySize) {
  const auto exits = run_processes(3, over(GetParam()), [](Communicator& c) -> std::string {
    const int next = (c.rank() + 1) % 3;
    const int previous = (c.rank() + 2) % 3;
    for (const std::int64_t count : kCounts) {
      const auto sent = numbers(c.rank(), next, count);
      std::vector<std::uint32_t> got(sent.size());
      const Status status =
          c.send_recv(sent.data(), count, next, got.data(), count, previous, DataType::uint32);
      if (!status.ok()) return std::string(status.message());
      if (got != numbers(previous, c.rank(), count)) return "wrong data";
    }
    return {};
  });
  for (const Exit& exit : exits) EXPECT_EQ(exit.output, "");
}

TEST_P(PointToPointTest, SendsToOnePeerKeepTheirOrder) {
  const auto exits = run_processes(2, over(GetParam()), [](Communicator& c) -> std::string {
    for (int k = 0; k < 50; ++k) {
      const std::int64_t count = kCounts[static_cast<std::size_t>(k) % 5];
      auto data = numbers(0, 1, count, k);
      const auto want = data;
      if (c.rank() == 1) std::fill(data.begin(), data.end(), 0U);
      const Status status = c.rank() == 0 ? c.send(data.data(), count, DataType::uint32, 1)
                                          : c.recv(data.data(), count, DataType::uint32, 0);
      if (!status.ok()) return std::string(status.message());
      if (data != want) return "wrong data in message " + std::to_string(k);
    }
    return {};
  });
  for (const Exit& exit : exits) EXPECT_EQ(exit.output, "");
}

// Every rank sends several messages to every rank, itself included, and every rank lists its calls
// in another order.
TEST_P(PointToPointTest, AGroupMovesInAllDirectionsWhateverItsOrder) {
  const std::uint64_t seed = test_seed();
  const auto exits = run_processes(4, over(GetParam()), [seed](Communicator& c) -> std::string {
    struct One {
      bool sends;
      int peer;
      std::vector<std::uint32_t> data;
    };
    std::vector<One> calls;
    std::mt19937_64 sizes(seed);
    constexpr int kEach = 3;
    std::int64_t counts[4][4][kEach];
    for (auto& from : counts) {
      for (auto& to : from) {
        for (std::int64_t& count : to) count = static_cast<std::int64_t>(sizes() % 100'000);
      }
    }
    // The k-th of a direction stay in order; which direction comes next is drawn.
    std::mt19937_64 order(seed + static_cast<std::uint64_t>(c.rank()));
    std::vector<int> directions;
    for (int d = 0; d < 8; ++d) directions.insert(directions.end(), kEach, d);
    std::shuffle(directions.begin(), directions.end(), order);
    int used[8] = {};
    for (const int d : directions) {
      const int peer = d / 2;
      const int k = used[d]++;
      const int from = d % 2 == 0 ? c.rank() : peer;
      const int to = d % 2 == 0 ? peer : c.rank();
      auto data = numbers(from, to, counts[from][to][k], k);
      if (d % 2 == 1) std::fill(data.begin(), data.end(), 0U);
      calls.push_back({d % 2 == 0, peer, std::move(data)});
    }
    const Status status = c.group([&] {
      for (One& call : calls) {
        const auto count = static_cast<std::int64_t>(call.data.size());
        (void)(call.sends ? c.send(call.data.data(), count, DataType::uint32, call.peer)
                          : c.recv(call.data.data(), count, DataType::uint32, call.peer));
      }
    });
    if (!status.ok()) return std::string(status.message());
    int received[4] = {};
    for (const One& call : calls) {
      if (call.sends) continue;
      const int k = received[call.peer]++;
      const auto want = numbers(call.peer, c.rank(), counts[call.peer][c.rank()][k], k);
      if (call.data != want) return "wrong data from rank " + std::to_string(call.peer);
    }
    return {};
  });
  for (const Exit& exit : exits) EXPECT_EQ(exit.output, "");
}

// Large enough that neither fits the slots: each waits for the other's receive.
TEST_P(PointToPointTest, AsynchronousSendsAndReceivesMoveTogether) {
  const auto exits = run_processes(2, over(GetParam()), [](Communicator& c) -> std::string {
    constexpr std::int64_t kLarge = 3'000'000;
    const int peer = 1 - c.rank();
    const auto sent = numbers(c.rank(), peer, kLarge);
    std::vector<std::uint32_t> got(sent.size());
    const Work send = c.send_async(sent.data(), kLarge, DataType::uint32, peer);
    const Work recv = c.recv_async(got.data(), kLarge, DataType::uint32, peer);
    for (const Work& work : {send, recv}) {
      const Status status = work.wait();
      if (!status.ok()) return std::string(status.message());
    }
    return got == numbers(peer, c.rank(), kLarge) ? "" : "wrong data";
  });
  for (const Exit& exit : exits) EXPECT_EQ(exit.output, "");
}

// As MPI programs do it. The blocking call runs beside the asynchronous one before it.
TEST_P(PointToPointTest, AnAsynchronousSendAndABlockingReceiveMoveTogether) {
  const auto exits = run_processes(3, over(GetParam()), [](Communicator& c) -> std::string {
    constexpr std::int64_t kLarge = 3'000'000;
    const int next = (c.rank() + 1) % 3;
    const int previous = (c.rank() + 2) % 3;
    const auto sent = numbers(c.rank(), next, kLarge);
    std::vector<std::uint32_t> got(sent.size());
    const Work send = c.send_async(sent.data(), kLarge, DataType::uint32, next);
    Status status = c.recv(got.data(), kLarge, DataType::uint32, previous);
    if (status.ok()) status = send.wait();
    // A group behind it, and a collective behind that.
    std::uint32_t token = 0;
    const Work again = c.send_async(sent.data(), kLarge, DataType::uint32, previous);
    if (status.ok()) {
      status = c.group([&] {
        (void)c.recv(got.data(), kLarge, DataType::uint32, next);
        (void)c.all_reduce(&token, &token, 1, DataType::uint32, ReduceOp::sum);
      });
    }
    if (status.ok()) status = again.wait();
    if (!status.ok()) return std::string(status.message());
    return got == numbers(next, (next + 1) % 3, kLarge) ? "" : "wrong data";
  });
  for (const Exit& exit : exits) EXPECT_EQ(exit.output, "");
}

// Whoever waits for the first send may be what the receiver needs before it takes the second.
TEST_P(PointToPointTest, ASendIsOverBeforeTheNextOneIsReceived) {
  const auto exits = run_processes(2, over(GetParam()), [](Communicator& c) -> std::string {
    constexpr std::int64_t kCount = 5'000;
    constexpr auto kType = DataType::uint32;
    const auto data = numbers(c.rank(), 1 - c.rank(), kCount);
    std::vector<std::uint32_t> got(data.size());
    Status status;
    if (c.rank() == 0) {
      const Work first = c.send_async(data.data(), kCount, kType, 1);
      const Work second = c.send_async(data.data(), kCount, kType, 1);
      status = first.wait();
      if (status.ok()) status = c.recv(got.data(), kCount, kType, 1);
      if (status.ok()) status = second.wait();
    } else {
      status = c.recv(got.data(), kCount, kType, 0);
      if (status.ok()) status = c.send(data.data(), kCount, kType, 0);
      if (status.ok()) status = c.recv(got.data(), kCount, kType, 0);
    }
    if (!status.ok()) return std::string(status.message());
    return got == numbers(1 - c.rank(), c.rank(), kCount) ? "" : "wrong data";
  });
  for (const Exit& exit : exits) EXPECT_EQ(exit.output, "");
}

INSTANTIATE_TEST_SUITE_P(Over, PointToPointTest, testing::Values("shm", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

void expect_invalid(const Status& status, const std::string& text) {
  EXPECT_EQ(status.code(), Code::invalid_argument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

TEST(PointToPointArguments, AreNamedWithTheirValues) {
  run_threads(2, quick_config(), [](Communicator& c) {
    int value = 0;
    constexpr auto kInt = DataType::int32;
    expect_invalid(c.send(&value, 1, kInt, 2),
                   "send: peer is 2; the communicator has ranks 0 to 1");
    expect_invalid(c.recv(&value, 1, kInt, -1), "recv: peer is -1");
    expect_invalid(c.recv(&value, -4, kInt, 0), "recv: count is -4; it must be 0 or more");
    expect_invalid(c.send(nullptr, 4, kInt, 0), "send: data is null although count is 4");
    expect_invalid(c.send(&value, 1, static_cast<DataType>(77), 0), "send: type 77 is no DataType");
    expect_invalid(
        c.send(&value, 1, kInt, c.rank()),
        "send: peer is this rank, " + std::to_string(c.rank()) +
            ", itself, which would wait for ever; call it in a group() together with its "
            "counterpart, or use send_recv()");
    expect_invalid(c.group([&] { (void)c.send(&value, 1, kInt, c.rank()); }),
                   "sends 1 messages to itself and receives 0; the two must be equal");
    int other = 0;
    expect_invalid(
        c.send_recv(&value, 1, c.rank(), &other, 0, c.rank(), kInt),
        "called send(int32, 1) to rank " + std::to_string(c.rank()) + " and recv(int32, 0)");
    // The communicator is as good as before.
    value = 7;
    EXPECT_TRUE(c.send_recv(&value, 1, c.rank(), &other, 1, c.rank(), kInt).ok());
    EXPECT_EQ(other, 7);
    EXPECT_TRUE(c.barrier().ok());
  });
}

TEST(PointToPointFailures, ADeadPeerIsNamed) {
  const auto exits = run_processes(2, over("shm"), [](Communicator& c) -> std::string {
    std::vector<float> data(1'000'000);
    if (c.rank() == 1) ::_exit(9);
    const Status status = c.recv(data.data(), 1'000'000, DataType::float32, 1);
    return std::string(status.message());
  });
  EXPECT_THAT(exits[0].output, HasSubstr("rank 1 "));
  EXPECT_THAT(exits[0].output, HasSubstr("died"));
}

// Where the kernel sends from it, in a send and in a collective: all ranks hear whose fault it is.
TEST(PointToPointFailures, MemoryThatCannotBeSentIsItsOwnRanksFault) {
  for (const bool broadcasts : {false, true}) {
    const auto exits = run_processes(2, over("tcp"), [&](Communicator& c) -> std::string {
      constexpr std::int64_t kBytes = 4 << 20;
      void* const nothing = ::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (nothing == MAP_FAILED) return "no memory";
      std::vector<std::byte> room(kBytes);
      void* const data = c.rank() == 0 ? nothing : room.data();
      const Status status = broadcasts      ? c.broadcast(data, data, kBytes, DataType::uint8, 0)
                            : c.rank() == 0 ? c.send(data, kBytes, DataType::uint8, 1)
                                            : c.recv(data, kBytes, DataType::uint8, 0);
      return fmt::format("{} {}", status.failed_rank(), status.message());
    });
    const std::string call =
        broadcasts ? "broadcast(uint8, 4194304, root 0)" : "send(uint8, 4194304) to rank 1";
    for (const Exit& exit : exits) {
      EXPECT_THAT(exit.output, StartsWith("0 rank 0 failed in "));
      EXPECT_THAT(exit.output, HasSubstr(call));
      EXPECT_THAT(exit.output, HasSubstr("memory that this rank itself passed cannot be read or "
                                         "written: check the addresses and counts of its call"));
    }
  }
}

TEST(PointToPointFailures, ALatePeerIsNamedAtTheDeadline) {
  Config config = quick_config();
  config.timeout_ms = 300;
  run_threads(2, config, [](Communicator& c) {
    float value = 0;
    if (c.rank() == 1) {
      await_failure(c);
      return;
    }
    const Status status = c.recv(&value, 1, DataType::float32, 1);
    EXPECT_EQ(status.code(), Code::timed_out);
    EXPECT_EQ(status.failed_rank(), 1);
    EXPECT_THAT(std::string(status.message()), HasSubstr("recv(float32, 1) from rank 1"));
  });
}

// All is handed over, and a socket holds but some of it.
TEST(PointToPointFailures, AReceiverThatLeavesWithoutWhatItWasSentIsNamed) {
  Config config = quick_config();
  config.transports = {"tcp"};
  run_threads(2, config, [](Communicator& c) {
    EXPECT_TRUE(c.barrier().ok());  // connects them
    if (c.rank() == 1) return;
    std::vector<float> values(16'000'000);
    const auto count = static_cast<std::int64_t>(values.size());
    const Status status = c.send(values.data(), count, DataType::float32, 1);
    EXPECT_EQ(status.code(), Code::peer_failed) << status.message();
    EXPECT_EQ(status.failed_rank(), 1);
    EXPECT_THAT(std::string(status.message()), HasSubstr("rank 0 lost its connection to rank 1"));
  });
}

// Long sends wait until they were read; all was said by then.
TEST(PointToPointFailures, AReceiverThatReadsNothingIsNamed) {
  Config config = quick_config();
  config.timeout_ms = 300;
  run_threads(3, config, [](Communicator& c) {
    std::vector<float> values(10'000);
    const auto count = static_cast<std::int64_t>(values.size());
    if (c.rank() == 1) {
      EXPECT_TRUE(c.recv(values.data(), count, DataType::float32, 0).ok());
    }
    if (c.rank() != 0) {
      await_failure(c);
      return;
    }
    const Status status = c.group([&] {
      for (const int peer : {1, 2}) (void)c.send(values.data(), count, DataType::float32, peer);
    });
    EXPECT_EQ(status.code(), Code::timed_out);
    EXPECT_EQ(status.failed_rank(), 2);
    EXPECT_THAT(std::string(status.message()), HasSubstr("send(float32, 10000) to rank 2"));
  });
}

// Between ranks of one host nothing tells earlier that one is in a collective.
TEST(PointToPointFailures, ARecvThatMeetsACollectiveEndsAtTheDeadline) {
  Config config = quick_config();
  config.timeout_ms = 300;
  run_threads(2, config, [](Communicator& c) {
    std::vector<float> values(6);
    const Status status = c.rank() == 0
                              ? c.all_to_all(values.data(), values.data(), 3, DataType::float32)
                              : c.recv(values.data(), 5, DataType::float32, 0);
    EXPECT_EQ(status.code(), Code::timed_out);
    EXPECT_THAT(std::string(status.message()),
                testing::AnyOf(HasSubstr("all_to_all(float32, 3)"),
                               HasSubstr("recv(float32, 5) from rank 0")));
  });
}

}  // namespace
}  // namespace tutti::test
