// Uneven all-to-alls in which what one rank sends is not what the other expects. A block without
// elements has no message, so that some are found in the call, some by what comes after it. Over
// shared memory as on one host, and through ports as between hosts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "support/world.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kEngine = "all_to_all:shm";
constexpr const char* kPorts = "all_to_all:pairwise";

struct Memory {
  std::vector<float> send = std::vector<float>(600'000);
  std::vector<float> recv = std::vector<float>(600'000);
};

// One of two ranks sends `sent` elements to the other, and expects `received`.
Status exchange(Communicator& c, Memory& m, std::int64_t sent, std::int64_t received) {
  std::array<std::int64_t, 2> to{sent, sent};
  std::array<std::int64_t, 2> from{received, received};
  const auto self = static_cast<std::size_t>(c.rank());
  to[self] = from[self] = 1;
  return c.all_to_all_v(m.send.data(), {to}, m.recv.data(), {from}, DataType::float32);
}

using Calls = std::function<Status(Communicator&, Memory&)>;

// What the two ranks get, each for its calls: the first error, or success.
std::array<Status, 2> outcomes(const std::string& algorithm, const Calls& zero, const Calls& one) {
  std::array<Status, 2> outcome;
  Config config = quick_config();
  config.algorithm = algorithm;
  run_threads(2, config, [&](Communicator& communicator) {
    Memory memory;
    const auto rank = static_cast<std::size_t>(communicator.rank());
    outcome[rank] = (rank == 0 ? zero : one)(communicator, memory);
  });
  return outcome;
}

void expect_mismatch(const std::array<Status, 2>& outcome, const std::string& text) {
  for (const Status& status : outcome) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

Calls counts(std::int64_t sent, std::int64_t received) {
  return [=](Communicator& c, Memory& m) { return exchange(c, m, sent, received); };
}
// And then barriers until one fails.
Calls then_barriers(const Calls& first) {
  return [=](Communicator& c, Memory& m) {
    Status status = first(c, m);
    while (status.ok()) status = c.barrier();
    return status;
  };
}
Calls then(const Calls& first, const Calls& second) {
  return [=](Communicator& c, Memory& m) {
    const Status status = first(c, m);
    return status.ok() ? second(c, m) : status;
  };
}

TEST(MismatchOfCounts, TwoNumbersOfElementsAreFoundInTheCall) {
  for (const char* algorithm : {kEngine, kPorts}) {
    expect_mismatch(
        outcomes(algorithm, then_barriers(counts(5, 7)), then_barriers(counts(8, 5))),
        "rank 0 expects 7 elements from rank 1 in operation 1 (all_to_all_v(float32)), which sends "
        "another number of them; recv_blocks.counts[1] of rank 0 must equal send_blocks.counts[0] "
        "of rank 1");
  }
}

// Of ranks that are not where they were, what the control path finds out.
std::string differing(int receiver, int sender) {
  return fmt::format(
      ") gave different counts in operation 1 (all_to_all_v(float32)), or different calls before; "
      "recv_blocks.counts[{}] of rank {} must equal send_blocks.counts[{}] of rank {}, and the "
      "other way round",
      sender, receiver, receiver, sender);
}

TEST(MismatchOfCounts, WhoWaitsForARankThatSendsNothingLearnsIt) {
  expect_mismatch(outcomes(kEngine, then_barriers(counts(0, 7)), then_barriers(counts(0, 0))),
                  differing(0, 1));
}

// Through ports it is the barrier's message that tells.
TEST(MismatchOfCounts, BetweenHostsTheNextMessageTellsThatNothingWasSent) {
  Config config = quick_config();
  config.transports = {"tcp"};
  std::array<Status, 2> outcome;
  run_threads(2, config, [&](Communicator& c) {
    Memory memory;
    const auto calls = then_barriers(counts(0, c.rank() == 0 ? 7 : 0));
    outcome[static_cast<std::size_t>(c.rank())] = calls(c, memory);
  });
  expect_mismatch(outcome, differing(0, 1));
}

// It lies in the sender's memory, which waits for who reads it.
TEST(MismatchOfCounts, WhoLendsABlockThatNobodyTakesLearnsIt) {
  expect_mismatch(outcomes(kEngine, then_barriers(counts(600'000, 0)), then_barriers(counts(0, 0))),
                  differing(0, 1));
}

// It fills all slots: in place nothing is lent.
TEST(MismatchOfCounts, WhoFillsTheSlotsOfARankThatTakesNothingLearnsIt) {
  const auto in_place = [](std::int64_t count) -> Calls {
    return [count](Communicator& c, Memory&) {
      std::vector<float> data(1'200'000);
      const std::array<std::int64_t, 2> counts{count, count};
      return c.all_to_all_v(data.data(), {counts}, data.data(), {counts}, DataType::float32);
    };
  };
  expect_mismatch(outcomes(kEngine, then_barriers(in_place(600'000)), then_barriers(in_place(0))),
                  differing(0, 1));
}

TEST(MismatchOfCounts, TwoTypesAreTwoCallsAndNotTwoCounts) {
  const auto exchange_as = [](DataType type) -> Calls {
    return [type](Communicator& c, Memory& m) {
      const std::array<std::int64_t, 2> counts{5, 5};
      return c.all_to_all_v(m.send.data(), {counts}, m.recv.data(), {counts}, type);
    };
  };
  for (const char* algorithm : {kEngine, kPorts}) {
    expect_mismatch(outcomes(algorithm, then_barriers(exchange_as(DataType::float32)),
                             then_barriers(exchange_as(DataType::int32))),
                    "called all_to_all_v(int32) as operation 1 while rank 0 ");
  }
}

// Rank 1 makes another call first, which waits for nobody, and is through with its exchange.
TEST(MismatchOfCounts, ARankThatIsAheadByAnotherCallIsNotBlamedForItsCounts) {
  const auto broadcast = [](Communicator& c, Memory& m) {
    return c.broadcast(m.send.data(), m.send.data(), 4, DataType::float32, 1);
  };
  for (const char* algorithm : {kEngine, kPorts}) {
    expect_mismatch(outcomes(algorithm, then_barriers(counts(0, 7)),
                             then_barriers(then(broadcast, counts(0, 0)))),
                    "called broadcast(float32, 4, root 1) as operation 1 while rank 0 ");
  }
}

// Rank 1 has had what it was sent, and leaves before the others are through: no failure.
void expect_leaving_is_no_failure(const Config& config) {
  const std::array<std::array<std::int64_t, 3>, 3> sent{{{0, 5, 0}, {0, 0, 0}, {7, 0, 0}}};
  std::array<Status, 3> outcome;
  std::latch left(1);
  run_threads(3, config, [&](Communicator& c) {
    const auto self = static_cast<std::size_t>(c.rank());
    std::array<std::int64_t, 3> received{};
    for (std::size_t r = 0; r < 3; ++r) received[r] = sent[r][self];
    Memory m;
    // Connects them.
    EXPECT_EQ(c.all_to_all(m.send.data(), m.recv.data(), 1, DataType::float32).message(), "");
    if (self == 2) {
      const Deadline deadline = Deadline::after_ms(30'000);
      while (!left.try_wait() && !deadline.passed()) std::this_thread::yield();
      EXPECT_TRUE(left.try_wait()) << "rank 1 has not left";
      // Rank 0, asleep, looks around every 50 ms: would it take this for a failure?
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
    outcome[self] =
        c.all_to_all_v(m.send.data(), {sent[self]}, m.recv.data(), {received}, DataType::float32);
    if (self == 1) {
      { const Communicator leaving = std::move(c); }  // waits some seconds for the others
      left.count_down();
    }
  });
  for (const Status& status : outcome) EXPECT_EQ(status.message(), "");
}

TEST(MismatchOfCounts, ARankThatLeavesOwesNothingToThoseItHasExchangedWith) {
  Config config = quick_config();
  for (const char* algorithm : {kEngine, kPorts}) {
    config.algorithm = algorithm;
    expect_leaving_is_no_failure(config);
  }
  config.transports = {"tcp"};
  expect_leaving_is_no_failure(config);
}

TEST(MismatchOfCounts, WhatNobodyTookIsFoundByTheNextExchange) {
  for (const char* algorithm : {kEngine, kPorts}) {
    expect_mismatch(outcomes(algorithm, then_barriers(then(counts(5, 0), counts(3, 3))),
                             then(counts(0, 0), counts(3, 3))),
                    differing(1, 0));
  }
}

TEST(MismatchOfCounts, WhatNobodyTookIsFoundByTheNextRecv) {
  const auto send = [](Communicator& c, Memory& m) {
    const Status status = c.send(m.send.data(), 5, DataType::float32, 1);
    return status.ok() ? then_barriers([](auto&, auto&) { return Status(); })(c, m) : status;
  };
  const auto recv = [](Communicator& c, Memory& m) {
    return c.recv(m.recv.data(), 5, DataType::float32, 0);
  };
  expect_mismatch(outcomes(kEngine, then(counts(5, 0), send), then(counts(0, 0), recv)),
                  "rank 1 expected no elements from rank 0 in operation 1 (all_to_all_v(float32)), "
                  "which sent some; recv_blocks.counts[0] of rank 1 must equal "
                  "send_blocks.counts[1] of rank 0");
}

TEST(MismatchOfCounts, AnExchangeThatMeetsASendNamesBoth) {
  const auto send = [](Communicator& c, Memory& m) {
    return c.send(m.send.data(), 5, DataType::int32, 1);
  };
  for (const char* algorithm : {kEngine, kPorts}) {
    expect_mismatch(outcomes(algorithm, then_barriers(send), then_barriers(counts(3, 3))),
                    "rank 1 called all_to_all_v(float32) as operation 1 while rank 0 called "
                    "send(int32, 5) to rank 1");
  }
}

// Of one rank: no other need hear of it, and the communicator goes on.
TEST(MismatchOfCounts, WhatARankSendsItselfMustBeWhatItExpects) {
  run_threads(2, quick_config(), [](Communicator& c) {
    Memory m;
    std::array<std::int64_t, 2> to{2, 2};
    std::array<std::int64_t, 2> from{2, 2};
    to[static_cast<std::size_t>(c.rank())] = 3;
    const Status status =
        c.all_to_all_v(m.send.data(), {to}, m.recv.data(), {from}, DataType::float32);
    EXPECT_EQ(status.code(), Code::invalid_argument);
    EXPECT_EQ(status.message(), "all_to_all_v: rank " + std::to_string(c.rank()) +
                                    " sends 3 elements to itself and receives 2; the two must be "
                                    "equal");
    EXPECT_EQ(c.barrier().message(), "");
  });
}

// A rank without anything to exchange does not wait for the others.
TEST(MismatchOfCounts, ARankThatExchangesNothingWaitsForNobody) {
  for (const char* algorithm : {kEngine, kPorts}) {
    const auto outcome = outcomes(
        algorithm,
        [](Communicator& c, Memory& m) {
          for (int i = 0; i < 1000; ++i) {
            if (Status status = exchange(c, m, 0, 0); !status.ok()) return status;
          }
          return c.send(m.send.data(), 1, DataType::float32, 1);
        },
        [](Communicator& c, Memory& m) {
          // Only once rank 0 is through with its calls.
          Status status = c.recv(m.recv.data(), 1, DataType::float32, 0);
          for (int i = 0; i < 1000 && status.ok(); ++i) status = exchange(c, m, 0, 0);
          return status;
        });
    for (const Status& status : outcome) EXPECT_EQ(status.message(), "");
  }
}

}  // namespace
}  // namespace tutti::test
