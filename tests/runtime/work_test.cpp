// Asynchronous operations: order, callbacks, deadlines, and how they end when the job does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "support/world.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;

TEST(Work, CallbacksRunOnceInOrderWithTheOutcome) {
  run_threads(2, quick_config(), [](Communicator& c) {
    std::vector<int> order;
    std::vector<int> values(10, 1);
    std::vector<Work> works;
    for (int k = 0; k < 10; ++k) {
      auto& value = values[static_cast<std::size_t>(k)];
      works.push_back(c.all_reduce_async(&value, &value, 1, DataType::int32, ReduceOp::sum));
      works.back().on_done([&order, &value, k](const Status& status) {
        EXPECT_TRUE(status.ok()) << status.message();
        EXPECT_EQ(value, 2);
        order.push_back(k);
      });
    }
    ASSERT_TRUE(c.barrier().ok());  // after all of them and their callbacks
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    // Of one that is over: at once, here.
    const auto here = std::this_thread::get_id();
    bool called = false;
    works[0].on_done([&](const Status&) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      called = true;
    });
    EXPECT_TRUE(called);
  });
}

TEST(Work, AnInvalidCallIsDoneAtOnce) {
  run_threads(2, quick_config(), [](Communicator& c) {
    int value = 0;
    const Work work = c.broadcast_async(&value, &value, 1, DataType::int32, 9);
    EXPECT_TRUE(work.test());
    bool called = false;
    work.on_done([&](const Status& status) {
      EXPECT_EQ(status.code(), Code::invalid_argument);
      EXPECT_THAT(std::string(status.message()), HasSubstr("root is 9"));
      called = true;
    });
    EXPECT_TRUE(called);
    EXPECT_TRUE(c.barrier().ok());
  });
}

TEST(Work, OfNothingIsDone) {
  const Work nothing;
  EXPECT_TRUE(nothing.test());
  EXPECT_TRUE(nothing.wait().ok());
  bool called = false;
  nothing.on_done([&](const Status& status) { called = status.ok(); });
  EXPECT_TRUE(called);
}

// Rank 1 never comes: what runs and what waits on rank 0 end with the abort.
TEST(Work, AbortCancelsWhatRunsAndWhatWaits) {
  run_threads(2, quick_config(), [](Communicator& c) {
    if (c.rank() == 1) {
      await_failure(c);
      EXPECT_EQ(c.status().code(), Code::aborted);
      return;
    }
    int a = 0;
    int b = 0;
    int d = 0;
    const Work runs = c.all_reduce_async(&a, &a, 1, DataType::int32, ReduceOp::sum);
    const Work waits = c.recv_async(&b, 1, DataType::int32, 1);
    const Work behind = c.all_reduce_async(&d, &d, 1, DataType::int32, ReduceOp::sum);
    std::atomic<int> told{0};
    behind.on_done([&](const Status& status) { told += status.code() == Code::aborted ? 1 : 100; });
    EXPECT_EQ(runs.wait(20).code(), Code::timed_out);
    c.abort();
    for (const Work& work : {runs, waits, behind}) EXPECT_EQ(work.wait().code(), Code::aborted);
    EXPECT_EQ(c.barrier().code(), Code::aborted);
    EXPECT_EQ(told.load(), 1);
  });
}

TEST(Work, AbortEndsACommunicatorOfOneRankToo) {
  run_threads(1, quick_config(), [](Communicator& c) {
    EXPECT_TRUE(c.barrier().ok());
    c.abort();
    EXPECT_EQ(c.barrier().code(), Code::aborted);
    EXPECT_THAT(std::string(c.status().message()), HasSubstr("rank 0 (host "));
  });
}

// The handle outlives the communicator, which waits for what is queued.
TEST(Work, OutlivesItsCommunicator) {
  std::vector<int> values(2, 1);
  std::vector<Work> works(2);
  const auto bootstraps = bootstrap_in_process(2, quick_config());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      auto communicator = Communicator::create(*bootstraps[rank], quick_config());
      ASSERT_TRUE(communicator.ok());
      works[rank] = communicator->all_reduce_async(&values[rank], &values[rank], 1, DataType::int32,
                                                   ReduceOp::sum);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_TRUE(works[rank].test());
    EXPECT_TRUE(works[rank].wait().ok());
    EXPECT_EQ(values[rank], 2);
  }
}

}  // namespace
}  // namespace tutti::test
