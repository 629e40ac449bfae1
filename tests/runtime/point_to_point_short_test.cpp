// Short sends and receives between ranks that memory joins, once they have met: the way of few
// instructions, what it leaves to the other one, and what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "support/world.h"
#include "transport/slot_ring.h"

namespace tutti::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// A first message each way joins two ranks.
void meet(Communicator& c) {
  const int peer = 1 - c.rank();
  std::int32_t mine = c.rank();
  std::int32_t theirs = -1;
  ASSERT_TRUE(c.send_recv(&mine, 1, peer, &theirs, 1, peer, DataType::int32).ok());
  ASSERT_EQ(theirs, peer);
}

Config impatient() {
  Config config = quick_config();
  config.timeout_ms = 300;
  return config;
}

// The most that is short, and one more.
TEST(ShortMessages, AreDeliveredWhole) {
  run_threads(2, quick_config(), [](Communicator& c) {
    meet(c);
    const int peer = 1 - c.rank();
    for (const std::int64_t count : {0, 1, 48, 49, 4095, 4096, 4097}) {
      const auto value = [count](int rank) {
        return static_cast<std::uint8_t>(count + 100 * rank + 1);
      };
      const auto bytes = static_cast<std::size_t>(count);
      const std::vector<std::uint8_t> sent(bytes, value(c.rank()));
      std::vector<std::uint8_t> received(bytes + 1, 0);
      for (int k = 0; k < 100; ++k) {
        received.assign(bytes + 1, 0);
        ASSERT_TRUE(
            c.send_recv(sent.data(), count, peer, received.data(), count, peer, DataType::uint8)
                .ok());
        std::vector<std::uint8_t> expected(bytes, value(peer));
        expected.push_back(0);
        ASSERT_EQ(received, expected) << count << " bytes";
      }
    }
  });
}

TEST(ShortMessages, WaitForRoom) {
  constexpr int kMessages = 5 * transport::kRingLines;
  std::atomic<int> sent{0};
  const Deadline deadline = Deadline::after_ms(20'000);
  run_threads(2, quick_config(), [&](Communicator& c) {
    meet(c);
    for (int k = 0; k < kMessages; ++k) {
      if (c.rank() == 0) {
        ASSERT_TRUE(c.send(&k, 1, DataType::int32, 1).ok());
        sent.fetch_add(1);
        continue;
      }
      while (k == 0 && sent.load() < transport::kRingLines) {
        ASSERT_FALSE(deadline.passed());
        ::usleep(100);  // tidy: allow usleep: until the ring is full
      }
      int received = -1;
      ASSERT_TRUE(c.recv(&received, 1, DataType::int32, 0).ok());
      ASSERT_EQ(received, k);
    }
  });
}

// What rank 0 does, and what rank 1 hears when it receives three.
struct Different {
  std::string name;
  std::function<Status(Communicator&, void*)> call;
  std::string text;
};

class ShortMismatch : public testing::TestWithParam<Different> {};

TEST_P(ShortMismatch, SaysWhatCame) {
  run_threads(2, impatient(), [](Communicator& c) {
    meet(c);
    std::vector<std::int32_t> data(100'000);
    if (c.rank() == 0) {
      (void)GetParam().call(c, data.data());
      await_failure(c);
      return;
    }
    const Status status = c.recv(data.data(), 3, DataType::int32, 0);
    EXPECT_EQ(status.code(), Code::mismatch) << status.message();
    EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().text));
    EXPECT_THAT(std::string(status.message()), HasSubstr("rank 1 called recv(int32, 3) from rank "
                                                         "0 while rank 0 called "));
  });
}

INSTANTIATE_TEST_SUITE_P(
    OfCalls, ShortMismatch,
    testing::Values(
        Different{"Count",
                  [](Communicator& c, void* d) { return c.send(d, 4, DataType::int32, 1); },
                  "send(int32, 4) to it (a message of 16 bytes came)"},
        Different{"Type",
                  [](Communicator& c, void* d) { return c.send(d, 3, DataType::float32, 1); },
                  "send(float32, 3) to it (a message of 12 bytes came)"},
        Different{"Long",
                  [](Communicator& c, void* d) { return c.send(d, 100'000, DataType::int32, 1); },
                  "send(int32, 100000) to it"}),
    [](const auto& info) { return info.param.name; });

TEST(ShortMessages, NameWhoIsLate) {
  run_threads(2, impatient(), [](Communicator& c) {
    meet(c);
    if (c.rank() == 1) {
      await_failure(c);
      return;
    }
    std::int32_t value = 0;
    const Status status = c.recv(&value, 1, DataType::int32, 1);
    EXPECT_EQ(status.code(), Code::timed_out);
    EXPECT_EQ(status.failed_rank(), 1);
    EXPECT_THAT(std::string(status.message()), HasSubstr("recv(int32, 1) from rank 1"));
  });
}

// Of an uneven all-to-all that is made of such messages, it is the call that is named.
TEST(ShortMessages, NameTheCallThatTheyArePartOf) {
  run_threads(3, impatient(), [](Communicator& c) {
    const std::vector<std::int64_t> counts(3, 2);
    const std::vector<std::int32_t> sent{0, 1, 2, 3, 4, 5};
    std::vector<std::int32_t> received(6, -1);
    const auto call = [&] {
      return c.all_to_all_v(sent.data(), {counts}, received.data(), {counts}, DataType::int32);
    };
    for (int k = 0; k < 5; ++k) {
      received.assign(6, -1);
      ASSERT_TRUE(call().ok());
      const int mine = 2 * c.rank();
      ASSERT_EQ(received,
                (std::vector<std::int32_t>{mine, mine + 1, mine, mine + 1, mine, mine + 1}));
    }
    if (c.rank() == 2) {
      await_failure(c);
      return;
    }
    const Status status = call();
    EXPECT_EQ(status.code(), Code::timed_out) << status.message();
    EXPECT_EQ(status.failed_rank(), 2);
    EXPECT_THAT(std::string(status.message()), HasSubstr("all_to_all_v(int32)"));
  });
}

TEST(ShortMessages, NameWhoDied) {
  Config config = quick_config();
  config.transports = {"shm"};
  const auto exits = run_processes(2, config, [](Communicator& c) -> std::string {
    meet(c);
    if (c.rank() == 1) ::_exit(9);
    std::int32_t value = 0;
    return std::string(c.recv(&value, 1, DataType::int32, 1).message());
  });
  EXPECT_THAT(exits[0].output, HasSubstr("rank 1 "));
  EXPECT_THAT(exits[0].output, HasSubstr("died"));
}

TEST(ShortMessages, NameWhoHasLeft) {
  run_threads(2, quick_config(), [](Communicator& c) {
    meet(c);
    if (c.rank() == 1) return;
    std::int32_t value = 0;
    const Status status = c.recv(&value, 1, DataType::int32, 1);
    EXPECT_EQ(status.code(), Code::peer_failed) << status.message();
    EXPECT_EQ(status.failed_rank(), 1);
    EXPECT_THAT(std::string(status.message()), HasSubstr("recv(int32, 1) from rank 1"));
  });
}

#ifndef TUTTI_SANITIZE  // sanitizers need address space without limit
// No other transport takes its place: sends count on memory where it joins all ranks.
TEST(ShortMessages, NameMemoryThatCannotBeHad) {
  Config config = quick_config();
  config.transports = {"shm", "tcp"};
  const auto exits = run_processes(2, config, [](Communicator& c) -> std::string {
    if (!c.barrier().ok()) return "barrier";
    const rlimit none{.rlim_cur = 4096, .rlim_max = 4096};
    if (::setrlimit(RLIMIT_AS, &none) != 0) return "setrlimit";
    std::int32_t value = 0;
    const int peer = 1 - c.rank();
    return std::string(c.send_recv(&value, 1, peer, &value, 1, peer, DataType::int32).message());
  });
  for (const Exit& exit : exits) {
    EXPECT_EQ(exit.status, 0);
    EXPECT_THAT(exit.output,
                ContainsRegex("rank [01], to be joined with rank [01]: cannot map [0-9]+ bytes of "
                              "shared memory: Cannot allocate memory .* raise the limit"));
  }
}
#endif

}  // namespace
}  // namespace tutti::test
