#include "plan/partition.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>

#include "plan/plans.h"

namespace tutti::plan {
namespace {

// Every promise of the header, for one cut.
void check_cut(std::int64_t count, std::int64_t parts, std::int64_t alignment) {
  SCOPED_TRACE(testing::Message() << count << " in " << parts << " by " << alignment);
  std::int64_t end = 0;
  std::int64_t previous = std::numeric_limits<std::int64_t>::max();
  std::int64_t largest = 0;
  for (std::int64_t i = 0; i < parts; ++i) {
    const Range part = partition(count, parts, alignment, i);
    ASSERT_EQ(part.begin, end);
    ASSERT_GE(part.count, 0);
    ASSERT_LE(part.count, previous);
    if (part.end() != count) {
      ASSERT_EQ(part.end() % alignment, 0);
    }
    if (i == 0) largest = part.count;
    // Only the end of the message, which need not be a multiple, can be shorter still.
    if (part.end() != count) {
      ASSERT_LE(largest - part.count, alignment);
    }
    previous = part.count;
    end = part.end();
  }
  ASSERT_EQ(end, count);
  ASSERT_EQ(partition(count, parts, alignment, parts), (Range{count, 0}));
}

TEST(Partition, KeepsItsPromisesForAllSmallValues) {
  for (std::int64_t count = 0; count <= 40; ++count) {
    for (std::int64_t parts = 1; parts <= 20; ++parts) {
      for (const std::int64_t alignment : {1, 2, 3, 4, 8, 16}) {
        check_cut(count, parts, alignment);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Partition, RangeIsItsPartsTogether) {
  for (std::int64_t count = 0; count <= 24; ++count) {
    for (std::int64_t parts = 1; parts <= 9; ++parts) {
      for (const std::int64_t alignment : {1, 4}) {
        for (std::int64_t from = 0; from <= parts; ++from) {
          for (std::int64_t n = 0; from + n <= parts; ++n) {
            const Range range = partition_range(count, parts, alignment, from, n);
            EXPECT_EQ(range.begin, partition(count, parts, alignment, from).begin);
            EXPECT_EQ(range.end(), partition(count, parts, alignment, from + n).begin);
          }
        }
      }
    }
  }
}

TEST(Partition, IsExactBeyond32Bits) {
  std::mt19937_64 random(test_seed());
  std::uniform_int_distribution<std::int64_t> any_count(std::int64_t{1} << 32,
                                                        std::numeric_limits<std::int64_t>::max());
  std::uniform_int_distribution<std::int64_t> any_parts(1, 100);
  std::uniform_int_distribution<int> any_shift(0, 20);
  for (int i = 0; i < 2000; ++i) {
    check_cut(any_count(random), any_parts(random), std::int64_t{1} << any_shift(random));
    if (HasFatalFailure()) return;
  }
}

TEST(Partition, CutsTheLargestCount) {
  const std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t alignment : {std::int64_t{1}, std::int64_t{64}, largest}) {
    check_cut(largest, 7, alignment);
  }
  EXPECT_EQ(partition(10, largest, 1, 9), (Range{9, 1}));
  EXPECT_EQ(partition(10, largest, 1, largest - 1), (Range{10, 0}));
}

TEST(Partition, GivesTheFirstPartsMore) {
  EXPECT_EQ(partition(10, 4, 1, 0), (Range{0, 3}));
  EXPECT_EQ(partition(10, 4, 1, 1), (Range{3, 3}));
  EXPECT_EQ(partition(10, 4, 1, 2), (Range{6, 2}));
  EXPECT_EQ(partition(10, 4, 1, 3), (Range{8, 2}));
  EXPECT_EQ(partition(10, 4, 4, 0), (Range{0, 4}));
  EXPECT_EQ(partition(10, 4, 4, 2), (Range{8, 2}));
  EXPECT_EQ(partition(10, 4, 4, 3), (Range{10, 0}));
}

}  // namespace
}  // namespace tutti::plan
