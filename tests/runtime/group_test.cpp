// Groups: what runs as one operation, what is coalesced, and what fails as a whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <stdexcept>
#include <vector>

#include "runtime/batch.h"
#include "support/world.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;

TEST(Group, RunsEveryKindOfCallAtItsEnd) {
  run_threads(4, quick_config(), [](Communicator& c) {
    const auto n = static_cast<std::size_t>(c.size());
    const float mine = static_cast<float>(c.rank() + 1);
    float sum = -1;
    float largest = -1;
    std::vector<float> all(n, -1);
    float passed = -1;
    const Status status = c.group([&] {
      EXPECT_TRUE(c.all_reduce(&mine, &sum, 1, DataType::float32, ReduceOp::sum).ok());
      EXPECT_TRUE(c.recv(&passed, 1, DataType::float32, (c.rank() + 3) % 4).ok());
      EXPECT_TRUE(c.all_gather(&mine, all.data(), 1, DataType::float32).ok());
      EXPECT_TRUE(c.send(&mine, 1, DataType::float32, (c.rank() + 1) % 4).ok());
      EXPECT_TRUE(c.all_reduce(&mine, &largest, 1, DataType::float32, ReduceOp::max).ok());
      EXPECT_EQ(sum, -1);  // nothing has run yet
    });
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(sum, 10);
    EXPECT_EQ(largest, 4);
    EXPECT_EQ(all, (std::vector<float>{1, 2, 3, 4}));
    EXPECT_EQ(passed, static_cast<float>((c.rank() + 3) % 4 + 1));
  });
}

TEST(Group, ManySmallAllReducesGiveTheirOwnResults) {
  run_threads(3, quick_config(), [](Communicator& c) {
    constexpr int kCalls = 100;
    std::vector<std::vector<std::int32_t>> in;
    std::vector<std::vector<std::int32_t>> out;
    for (int k = 0; k < kCalls; ++k) {
      in.emplace_back(static_cast<std::size_t>(k % 7), k + c.rank());
      out.emplace_back(in.back().size());
    }
    const Status status = c.group([&] {
      for (std::size_t k = 0; k < in.size(); ++k) {
        const auto op = k % 10 == 9 ? ReduceOp::max : ReduceOp::sum;  // some do not join
        (void)c.all_reduce(in[k].data(), out[k].data(), static_cast<std::int64_t>(in[k].size()),
                           DataType::int32, op);
      }
    });
    ASSERT_TRUE(status.ok()) << status.message();
    for (int k = 0; k < kCalls; ++k) {
      const std::int32_t want = k % 10 == 9 ? k + 2 : 3 * k + 3;
      for (const std::int32_t value : out[static_cast<std::size_t>(k)]) EXPECT_EQ(value, want);
    }
    // Numbers were used up alike: what follows matches.
    EXPECT_TRUE(c.barrier().ok());
  });
}

TEST(Group, JoinsWhatIsAlikeAndSmall) {
  using runtime::Operation;
  const Operation small{.collective = Collective::all_reduce, .count = 10};
  Operation other_type = small;
  other_type.type = DataType::int32;
  Operation other_op = small;
  other_op.reduction = ReduceOp::max;
  Operation scaled = small;
  scaled.reduction = Reduction::premultiplied_sum(2.0);
  Operation large = small;
  large.count = 1 << 20;
  Operation gather = small;
  gather.collective = Collective::all_gather;
  const auto joined = [](const std::vector<Operation>& operations) {
    return runtime::coalesced(operations);
  };
  EXPECT_EQ(joined({small, small, small}), 3U);
  EXPECT_EQ(joined({small, small, other_type}), 2U);
  EXPECT_EQ(joined({small, other_op}), 1U);
  EXPECT_EQ(joined({small, scaled}), 1U);
  EXPECT_EQ(joined({scaled, scaled}), 1U);
  EXPECT_EQ(joined({small, large}), 1U);
  EXPECT_EQ(joined({large, small}), 1U);
  EXPECT_EQ(joined({gather, gather}), 1U);
  // Not without end.
  EXPECT_LT(joined(std::vector<Operation>(10'000, small)), 10'000U);
}

TEST(Group, TheFirstInvalidCallFailsItAndNothingIsSent) {
  run_threads(2, quick_config(), [](Communicator& c) {
    float value = 1;
    float result = 5;
    const Status status = c.group([&] {
      EXPECT_TRUE(c.all_reduce(&value, &result, 1, DataType::float32, ReduceOp::sum).ok());
      EXPECT_FALSE(c.broadcast(&value, &value, 1, DataType::float32, 7).ok());
      EXPECT_FALSE(c.send(&value, -1, DataType::float32, 0).ok());
    });
    EXPECT_EQ(status.code(), Code::invalid_argument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("broadcast: root is 7"));
    EXPECT_EQ(result, 5);
    EXPECT_TRUE(c.all_reduce(&value, &result, 1, DataType::float32, ReduceOp::sum).ok());
    EXPECT_EQ(result, 2);
  });
}

TEST(Group, AnInnerGroupIsPartOfTheOuterOne) {
  run_threads(2, quick_config(), [](Communicator& c) {
    int a = 1;
    int b = 2;
    const Status status = c.group([&] {
      EXPECT_TRUE(
          c.group([&] { (void)c.all_reduce(&a, &a, 1, DataType::int32, ReduceOp::sum); }).ok());
      EXPECT_EQ(a, 1);
      (void)c.all_reduce(&b, &b, 1, DataType::int32, ReduceOp::sum);
    });
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(a, 2);
    EXPECT_EQ(b, 4);
  });
}

TEST(Group, AnExceptionOfTheCallerEndsTheRecording) {
  run_threads(2, quick_config(), [](Communicator& c) {
    int value = 1;
    EXPECT_THROW((void)c.group([&] {
      (void)c.all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum);
      throw std::runtime_error("the caller's");
    }),
                 std::runtime_error);
    EXPECT_EQ(value, 1);
    EXPECT_TRUE(c.all_reduce(&value, &value, 1, DataType::int32, ReduceOp::sum).ok());
    EXPECT_EQ(value, 2);
  });
}

TEST(Group, RunsAsynchronouslyWithListsThatNeedNotLive) {
  run_threads(3, quick_config(), [](Communicator& c) {
    std::vector<std::int32_t> mine(static_cast<std::size_t>(c.rank()), c.rank());
    std::vector<std::int32_t> all(3, -1);
    Work inner;
    const Work work = [&] {
      const std::array<std::int64_t, 3> counts{0, 1, 2};
      return c.group_async([&] {
        inner = c.all_gather_v_async(mine.data(), all.data(), {counts}, DataType::int32);
      });
    }();
    ASSERT_TRUE(work.wait().ok());
    EXPECT_TRUE(inner.wait().ok());
    EXPECT_EQ(all, (std::vector<std::int32_t>{1, 2, 2}));
  });
}

TEST(Group, CannotCreateCommunicators) {
  run_threads(2, quick_config(), [](Communicator& c) {
    EXPECT_TRUE(c.group([&] {
                   const auto inside = c.split(0, 0);
                   EXPECT_EQ(inside.status().code(), Code::invalid_argument);
                   EXPECT_THAT(std::string(inside.status().message()), HasSubstr("group()"));
                 }).ok());
  });
}

}  // namespace
}  // namespace tutti::test
