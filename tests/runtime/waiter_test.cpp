// What ends a wait, and what of two things that come at once.
#include "runtime/waiter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "runtime/control_fake.h"
#include "transport/heap.h"

namespace tutti::runtime {
namespace {

using ::testing::HasSubstr;

// A node of one rank, whose sleep is whatever the test says.
class OneRank final : public transport::Node {
 public:
  const std::vector<int>& ranks() const override { return ranks_; }
  int local_rank() const override { return 0; }
  int local_rank_of(int rank) const override { return rank == 0 ? 0 : -1; }
  bool in_process() const override { return true; }
  const std::string& reason() const override { return reason_; }
  Result<std::span<std::byte>> engine_area(int) override { return std::span<std::byte>(); }
  Result<std::span<std::byte>> link_area(int, int) override { return std::span<std::byte>(); }
  const std::shared_ptr<transport::Heap>& heap() const override { return heap_; }
  void ring(int) noexcept override {}
  void ring_others() noexcept override {}
  void ring_self() noexcept override {}
  void prepare_park() noexcept override {}
  void park(std::span<pollfd>, int) noexcept override { sleep(); }
  void unpark() noexcept override {}

  std::function<void()> sleep = [] {};

 private:
  std::vector<int> ranks_{0};
  std::string reason_;
  std::shared_ptr<transport::Heap> heap_;
};

class Wait : public ::testing::Test {
 protected:
  // Waits for data, after `between` was called in one of the first looks, which find nothing.
  Status run(
      const std::function<void()>& between = [] {}, int in_look = 1) {
    Waiter waiter(node_, control(), timeout_ms_, patience_);
    int looks = 0;
    const auto pass = [&] {
      if (++looks > in_look) {
        if (messages_ > 0 && messages_-- > 0) return Pass::progressed;
        return has_data_ ? Pass::done : Pass::blocked;
      }
      if (looks == in_look) between();
      return Pass::blocked;
    };
    return waiter.run(
        activity_, [] { return std::span<pollfd>(); }, pass, [] { return Result<int>(0); });
  }
  Control& control() { return **ranks_[0]; }
  void fail() { (void)control().report(error(Code::aborted, "rank 0 aborted")); }
  void data_then_failure() {
    has_data_ = true;
    fail();
  }

  control::Ranks ranks_ = control::start_ranks(1);
  OneRank node_;
  Call call_{.collective = Collective::barrier};
  CollectiveActivity activity_{call_};
  Patience patience_;  // none: sleeps at once
  std::int64_t timeout_ms_ = 60'000;
  int messages_ = 0;  // that lie there before the last one
  bool has_data_ = false;
};

TEST_F(Wait, AFailureEndsIt) {
  const Status status = run([this] { fail(); });
  EXPECT_EQ(status.code(), Code::aborted);
  EXPECT_EQ(status.message(), "rank 0 aborted");
}

// Whether this rank looks before or after the failure is chance; what it waited for came before.
TEST_F(Wait, WhatCameBeforeAFailureCounts) {
  const Status status = run([this] { data_then_failure(); });
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(control().failure().code(), Code::aborted);
}

TEST_F(Wait, WhatCameBeforeAFailureCountsToASleeper) {
  node_.sleep = [this] { data_then_failure(); };
  const Status status = run();
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST_F(Wait, WhatCameBeforeAFailureCountsToOneThatYields) {
  patience_ = {.spins = 3, .yields = 1000};
  constexpr int kBeforeItLooksForFailures = 3 + 16;
  const Status status = run([this] { data_then_failure(); }, kBeforeItLooksForFailures);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST_F(Wait, AllMessagesThatCameBeforeAFailureCount) {
  messages_ = 9;
  const Status status = run([this] { data_then_failure(); });
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST_F(Wait, SomeOfTheMessagesAreNotEnough) {
  messages_ = 9;
  const Status status = run([this] { fail(); });
  EXPECT_EQ(status.message(), "rank 0 aborted");
  EXPECT_EQ(messages_, 0);
}

// A process that was stopped for longer than its deadline, say.
TEST_F(Wait, WhatCameInALongSleepCounts) {
  timeout_ms_ = 1;
  node_.sleep = [this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    has_data_ = true;
  };
  const Status status = run();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(control().failure().ok()) << control().failure().message();
}

TEST_F(Wait, NothingUntilTheDeadlineIsAnError) {
  timeout_ms_ = 1;
  node_.sleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  const Status status = run();
  EXPECT_EQ(status.code(), Code::timed_out) << status.message();
  EXPECT_THAT(std::string(status.message()), HasSubstr("barrier"));
}

}  // namespace
}  // namespace tutti::runtime
