// Calls, arguments, asynchronous operations, several communicators.

#include "tutti/communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "support/world.h"

namespace tutti::test {
namespace {

using testing::HasSubstr;

void expect_error(const Status& status, Code code, std::string_view text) {
  EXPECT_EQ(name(status.code()), name(code)) << status.message();
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(text)));
}

TEST(Communicator, BadArgumentsNameTheArgumentAndItsValue) {
  run_threads(2, quick_config(), [](Communicator& communicator) {
    std::array<float, 8> data{1, 1, 1, 1, 1, 1, 1, 1};
    float* p = data.data();
    constexpr auto kSum = ReduceOp::sum;
    constexpr auto kFloat = DataType::float32;
    constexpr Code kBad = Code::invalid_argument;
    expect_error(communicator.all_reduce(p, p, -1, kFloat, kSum), kBad,
                 "all_reduce: count is -1; it must be 0 or more");
    expect_error(communicator.all_reduce(nullptr, p, 2, kFloat, kSum), kBad,
                 "all_reduce: send is null although it has 2 elements");
    expect_error(communicator.all_reduce(p, nullptr, 2, kFloat, kSum), kBad,
                 "all_reduce: recv is null although it has 2 elements");
    expect_error(communicator.all_reduce(p, p + 1, 4, kFloat, kSum), kBad,
                 "overlap; place the input as the call says");
    expect_error(communicator.all_reduce(p, p, 2, static_cast<DataType>(77), kSum), kBad,
                 "type 77 is no DataType; the values are 0 to 13");
    expect_error(communicator.all_reduce(p, p, 2, kFloat, static_cast<ReduceOp>(9)), kBad,
                 "op 9 is no ReduceOp; the values are 0 to 7");
    expect_error(
        communicator.all_reduce(p, p, std::numeric_limits<std::int64_t>::max(), kFloat, kSum), kBad,
        "count 9223372036854775807 of float32 is more bytes");
    expect_error(communicator.broadcast(p, p, 1, kFloat, 2), kBad,
                 "broadcast: root is 2; the communicator has ranks 0 to 1");
    expect_error(communicator.broadcast(p, p, 1, kFloat, -3), kBad, "root is -3");
    expect_error(communicator.all_reduce_async(p, p, -1, kFloat, kSum).wait(), kBad, "count is -1");
    // Nothing was sent and nothing is broken.
    EXPECT_TRUE(communicator.status().ok());
    ASSERT_TRUE(communicator.all_reduce(p, p, 8, kFloat, kSum).ok());
    EXPECT_THAT(data, testing::Each(2.0f));
  });
}

TEST(Communicator, BadBootstrapLanesAndThreadsAreErrors) {
  class Wrong final : public Bootstrap {
   public:
    int rank() const override { return 3; }
    int size() const override { return 2; }
    Status all_gather(std::span<const std::byte>, std::span<std::byte>) override { return {}; }
  };
  Wrong wrong;
  expect_error(Communicator::create(wrong).status(), Code::invalid_argument, "rank 3 of 2");
  Config config = quick_config();
  config.lanes = 9;
  const auto one = bootstrap_in_process(1);
  expect_error(Communicator::create(*one[0], config).status(), Code::invalid_argument,
               "lanes is 9; it must be 1 to 8");
  config = quick_config();
  config.threads = 17;
  expect_error(Communicator::create(*one[0], config).status(), Code::invalid_argument,
               "threads is 17; it must be 0 to 16");
}

TEST(Communicator, UnknownAlgorithmListsTheNames) {
  Config config = quick_config();
  config.algorithm = "all_reduce:rong";
  const auto one = bootstrap_in_process(1);
  const Status status = Communicator::create(*one[0], config).status();
  expect_error(status, Code::invalid_environment, "rong");
  expect_error(status, Code::invalid_environment, "ring");
  expect_error(status, Code::invalid_environment, "halving_doubling");
}

TEST(Communicator, DifferentSettingsAreAMismatchThatNamesBothRanks) {
  const auto bootstraps = bootstrap_in_process(3, quick_config());
  std::vector<std::thread> threads;
  for (const auto& bootstrap : bootstraps) {
    threads.emplace_back([&bootstrap] {
      Config config = quick_config();
      if (bootstrap->rank() == 2) config.lanes = 2;
      const Status status = Communicator::create(*bootstrap, config).status();
      expect_error(status, Code::mismatch, "rank 2 (host ");
      expect_error(status, Code::mismatch, "TUTTI_LANES=2");
      EXPECT_EQ(status.failed_rank(), 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Communicator, OneRankCopies) {
  run_threads(1, quick_config(), [](Communicator& communicator) {
    const std::array<double, 3> send{1, 2, 3};
    std::array<double, 3> recv{};
    ASSERT_TRUE(
        communicator.all_reduce(send.data(), recv.data(), 3, DataType::float64, ReduceOp::average)
            .ok());
    EXPECT_EQ(send, recv);
    EXPECT_TRUE(communicator.barrier().ok());
    EXPECT_EQ(communicator.algorithm(Collective::all_reduce, 3, DataType::float64), "copy");
    EXPECT_EQ(communicator.transport(0), "self");
    EXPECT_EQ(communicator.local_size(), 1);
    communicator.abort();
  });
}

TEST(Communicator, AsynchronousOperationsRunInOrder) {
  run_threads(3, quick_config(), [](Communicator& communicator) {
    std::vector<std::int64_t> values(5000, communicator.rank());
    std::vector<Work> works;
    for (int i = 0; i < 20; ++i) {
      works.push_back(communicator.all_reduce_async(values.data(), values.data(), 5000,
                                                    DataType::int64, ReduceOp::sum));
    }
    // A blocking call comes after what is queued.
    std::vector<std::int64_t> copy(5000);
    ASSERT_TRUE(
        communicator.all_reduce(values.data(), copy.data(), 5000, DataType::int64, ReduceOp::max)
            .ok());
    std::int64_t want = 3;
    for (int i = 1; i < 20; ++i) want *= 3;
    EXPECT_THAT(copy, testing::Each(want));
    for (const Work& work : works) {
      EXPECT_TRUE(work.test());
      EXPECT_TRUE(work.wait().ok());
    }
  });
}

TEST(Communicator, WaitWithADeadlineTellsThatTheOperationGoesOn) {
  std::atomic<bool> late{false};
  run_threads(2, quick_config(), [&late](Communicator& communicator) {
    int value = 1;
    if (communicator.rank() == 0) {
      const Work work =
          communicator.all_reduce_async(&value, &value, 1, DataType::int32, ReduceOp::sum);
      expect_error(work.wait(20), Code::timed_out, "still running after 20 ms");
      EXPECT_FALSE(work.test());
      late = true;
      late.notify_one();
      EXPECT_TRUE(work.wait(60'000).ok());
    } else {
      late.wait(false);
      ASSERT_TRUE(communicator.all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum).ok());
    }
    EXPECT_EQ(value, 2);
  });
  EXPECT_TRUE(Work().test());
  EXPECT_TRUE(Work().wait().ok());
}

TEST(Communicator, TwoCommunicatorsOfOneProcessDoNotNoticeEachOther) {
  constexpr int kRanks = 3;
  Config config = quick_config();
  const auto first = bootstrap_in_process(kRanks, config);
  const auto second = bootstrap_in_process(kRanks, config);
  std::vector<std::thread> threads;
  for (const auto* bootstraps : {&first, &second}) {
    for (const auto& bootstrap : *bootstraps) {
      threads.emplace_back([&config, &bootstrap] {
        Result<Communicator> communicator = Communicator::create(*bootstrap, config);
        ASSERT_TRUE(communicator.ok()) << communicator.status().message();
        for (int i = 0; i < 200; ++i) {
          std::vector<int> values(static_cast<std::size_t>(1 + i * 37), i);
          ASSERT_TRUE(communicator
                          ->all_reduce(values.data(), values.data(),
                                       static_cast<std::int64_t>(values.size()), DataType::int32,
                                       ReduceOp::sum)
                          .ok());
          ASSERT_THAT(values, testing::Each(i * kRanks));
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Communicator, TwoCommunicatorsOverOneBootstrap) {
  const auto bootstraps = bootstrap_in_process(2, quick_config());
  std::vector<std::thread> threads;
  for (const auto& bootstrap : bootstraps) {
    threads.emplace_back([&bootstrap] {
      Result<Communicator> a = Communicator::create(*bootstrap, quick_config());
      Result<Communicator> b = Communicator::create(*bootstrap, quick_config());
      ASSERT_TRUE(a.ok() && b.ok());
      int value = 1;
      // In opposite orders of use on the same thread they still cannot be confused.
      for (Communicator* communicator : {&*b, &*a}) {
        ASSERT_TRUE(
            communicator->all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum).ok());
      }
      EXPECT_EQ(value, 4);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Communicator, AbortEndsAWaitingCallOnEveryRank) {
  run_threads(3, quick_config(), [](Communicator& communicator) {
    int value = 1;
    Status status;
    if (communicator.rank() == 1) {
      communicator.abort();
      status = communicator.all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum);
    } else {
      status = communicator.all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum);
    }
    expect_error(status, Code::aborted, "rank 1 (host ");
    // The first failure stays.
    expect_error(communicator.barrier(), Code::aborted, "aborted the communicator");
    expect_error(communicator.status(), Code::aborted, "aborted the communicator");
  });
}

TEST(Communicator, ARankThatLeavesEarlyIsNamed) {
  std::atomic<int> failed{0};
  run_threads(3, quick_config(), [&failed](Communicator& communicator) {
    ASSERT_TRUE(communicator.barrier().ok());
    if (communicator.rank() == 2) return;  // destroys its communicator one operation early
    int value = 1;
    const Status status =
        communicator.all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum);
    expect_error(status, Code::peer_failed, "rank 2 closed its communicator after 1 operations");
    EXPECT_EQ(status.failed_rank(), 2);
    ++failed;
  });
  EXPECT_EQ(failed, 2);
}

TEST(Communicator, NamesItsTransports) {
  run_threads(2, quick_config(), [](Communicator& communicator) {
    EXPECT_EQ(communicator.transport(1 - communicator.rank()), "loopback");
    EXPECT_EQ(communicator.algorithm(Collective::all_reduce, 1, DataType::int8), "shm");
  });
  Config config = quick_config();
  config.transports = {"tcp"};
  run_threads(2, config, [](Communicator& communicator) {
    EXPECT_EQ(communicator.transport(1 - communicator.rank()), "tcp");
    EXPECT_NE(communicator.algorithm(Collective::all_reduce, 1, DataType::int8), "shm");
    EXPECT_TRUE(communicator.barrier().ok());
  });
}

}  // namespace
}  // namespace tutti::test
