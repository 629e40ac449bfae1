// The conditions that make a schedule right (Traeff 2024, section 2), for every node.
#include "collectives/circulant.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

using plan::Rank;

std::vector<CirculantSchedule> all_schedules(Rank n) {
  std::vector<CirculantSchedule> schedules;
  for (Rank node = 0; node < n; ++node) schedules.push_back(circulant_schedule(node, n));
  return schedules;
}

// In any pass a node receives q blocks in a row, but for one, its base block, a pass early.
void check_received(const CirculantSchedule& schedule) {
  const auto count = static_cast<int>(schedule.skips.size());
  std::set<int> blocks(schedule.received.begin(), schedule.received.end());
  ASSERT_EQ(blocks.size(), schedule.skips.size()) << "a block is received twice";
  const int base = *blocks.rbegin();
  ASSERT_GE(base, 0);
  ASSERT_LT(base, count);
  blocks.erase(base);
  blocks.insert(base - count);
  EXPECT_EQ(*blocks.begin(), -count);
  EXPECT_EQ(*blocks.rbegin(), -1);
}

// What a node sends it has received earlier in the pass, or it is the base block of the pass
// before.
void check_sent(const CirculantSchedule& schedule) {
  const auto count = static_cast<int>(schedule.skips.size());
  const int base = *std::max_element(schedule.received.begin(), schedule.received.end());
  std::set<int> has = {base - count};
  for (std::size_t k = 0; k < schedule.skips.size(); ++k) {
    EXPECT_TRUE(has.count(schedule.sent[k]) != 0) << "sends a block that it has not received";
    has.insert(schedule.received[k]);
  }
}

TEST(Circulant, SchedulesAreRight) {
  std::vector<Rank> counts = {511, 512, 513, 1000};
  for (Rank n = 2; n <= 200; ++n) counts.push_back(n);
  for (const Rank n : counts) {
    const std::vector<CirculantSchedule> schedules = all_schedules(n);
    for (Rank node = 0; node < n; ++node) {
      SCOPED_TRACE(testing::Message() << "node " << node << " of " << n);
      const CirculantSchedule& own = schedules[static_cast<std::size_t>(node)];
      ASSERT_EQ(own.skips.size(), static_cast<std::size_t>(ceil_log2(n)));
      for (std::size_t k = 0; k < own.skips.size(); ++k) {
        const Rank to = (node + own.skips[k]) % n;
        EXPECT_EQ(own.sent[k], schedules[static_cast<std::size_t>(to)].received[k]);
        // The root sends a new block in every round.
        if (node == 0) {
          EXPECT_EQ(own.sent[k], static_cast<int>(k));
        }
      }
      if (node == 0) continue;
      check_received(own);
      check_sent(own);
      if (HasFailure()) return;
    }
  }
}

TEST(Circulant, SkipsAreHalvesRoundedUp) {
  EXPECT_EQ(circulant_schedule(0, 2).skips, (std::vector<Rank>{1}));
  EXPECT_EQ(circulant_schedule(0, 8).skips, (std::vector<Rank>{1, 2, 4}));
  EXPECT_EQ(circulant_schedule(0, 11).skips, (std::vector<Rank>{1, 2, 3, 6}));
}

}  // namespace
}  // namespace tutti::collectives
