// The messages of PAT against trees built the obvious way.
#include "collectives/pat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

using plan::Rank;

constexpr Rank kLargest = 200;

// All trees have the same shape, so that it is enough to follow one block: `came` says after which
// message the rank so many behind the root has it.
TEST(Pat, BringsABlockToEveryRankOnce) {
  for (Rank n = 1; n <= kLargest; ++n) {
    std::vector<char> has(static_cast<std::size_t>(n), 0);
    has[0] = 1;
    for (const PatMessage& message : pat_messages(n)) {
      ASSERT_GE(message.blocks(n), 1);
      for (Rank i = 0; i < message.blocks(n); ++i) {
        const auto from = static_cast<std::size_t>(message.behind(i));
        const auto to = from + static_cast<std::size_t>(message.distance);
        ASSERT_LT(to, has.size());
        EXPECT_TRUE(has[from]) << from << " of " << n << " sends what it has not got";
        EXPECT_FALSE(has[to]) << to << " of " << n << " is sent it twice";
        has[to] = 1;
      }
    }
    EXPECT_EQ(std::count(has.begin(), has.end(), 1), n);
  }
}

// The rank q behind the root hears from the one without q's lowest bit.
TEST(Pat, FollowsBinomialTrees) {
  for (Rank n = 2; n <= kLargest; ++n) {
    for (const PatMessage& message : pat_messages(n)) {
      for (Rank i = 0; i < message.blocks(n); ++i) {
        const Rank child = message.behind(i) + message.distance;
        EXPECT_EQ(child & -child, message.distance);
      }
    }
  }
}

TEST(Pat, HasFewMessagesOfFewBlocks) {
  for (Rank n = 2; n <= kLargest; ++n) {
    const int levels = ceil_log2(n);
    const auto messages = static_cast<int>(pat_messages(n).size());
    const int doubling = levels - levels / 2;
    EXPECT_LE(messages, doubling + (1 << (levels / 2)) - 1);
    EXPECT_GE(messages, levels);
    EXPECT_LE(pat_largest(n), 1 << doubling);
  }
  // Of 64 ranks: 1, 2 and 4 blocks over distances 32, 16 and 8, then 7 messages of 8.
  EXPECT_EQ(pat_messages(64).size(), 10U);
  EXPECT_EQ(pat_largest(64), 8);
  EXPECT_TRUE(pat_messages(1).empty());
}

TEST(Pat, SendsTheFarthestFirst) {
  const std::vector<PatMessage> messages = pat_messages(64);
  EXPECT_EQ(messages[0].distance, 32);
  EXPECT_EQ(messages[0].blocks(64), 1);
  EXPECT_EQ(messages[1].distance, 16);
  EXPECT_EQ(messages[1].blocks(64), 2);
  EXPECT_EQ(messages[2].distance, 8);
  EXPECT_EQ(messages[2].blocks(64), 4);
  for (std::size_t i = 3; i < messages.size(); ++i) {
    EXPECT_LT(messages[i].distance, 8);
    EXPECT_EQ(messages[i].blocks(64), 8);
  }
}

}  // namespace
}  // namespace tutti::collectives
