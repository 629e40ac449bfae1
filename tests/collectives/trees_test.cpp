#include "collectives/trees.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "collectives/fold.h"

namespace tutti::collectives {
namespace {

using plan::Rank;

constexpr Rank kLargest = 200;

int depth_of(int tree, Rank node, Rank n) {
  int depth = 0;
  for (Rank at = node; at != 0; at = tree_node(tree, at, n).parent) ++depth;
  return depth;
}

TEST(Trees, ReachEveryNodeOnce) {
  for (Rank n = 1; n <= kLargest; ++n) {
    for (int tree = 0; tree < kTrees; ++tree) {
      std::set<Rank> reached = {0};
      EXPECT_EQ(tree_node(tree, 0, n).parent, -1);
      for (Rank node = 0; node < n; ++node) {
        for (const Rank child : tree_node(tree, node, n).children) {
          EXPECT_EQ(tree_node(tree, child, n).parent, node) << "tree " << tree << " of " << n;
          EXPECT_TRUE(reached.insert(child).second);
        }
      }
      EXPECT_EQ(reached.size(), static_cast<std::size_t>(n));
    }
  }
}

TEST(Trees, ShareTheWork) {
  for (Rank n = 1; n <= kLargest; ++n) {
    for (Rank node = 1; node < n; ++node) {
      EXPECT_TRUE(is_leaf(0, node, n) || is_leaf(1, node, n)) << node << " of " << n;
      for (int tree = 0; tree < kTrees; ++tree) {
        EXPECT_LE(tree_node(tree, node, n).children.size(), 2U);
      }
    }
  }
}

TEST(Trees, AreAsDeepAsTheySay) {
  for (Rank n = 2; n <= kLargest; ++n) {
    for (int tree = 0; tree < kTrees; ++tree) {
      int deepest = 0;
      for (Rank node = 0; node < n; ++node) deepest = std::max(deepest, depth_of(tree, node, n));
      EXPECT_EQ(deepest, tree_depth(n)) << "tree " << tree << " of " << n;
    }
  }
}

TEST(Fold, GivesEveryPositionOneRank) {
  for (Rank n = 1; n <= kLargest; ++n) {
    const Fold fold(n);
    Rank previous = -1;
    for (Rank position = 0; position < fold.core; ++position) {
      const Rank rank = fold.rank_at(position);
      EXPECT_GT(rank, previous) << "positions keep rank order";
      EXPECT_LT(rank, n);
      EXPECT_FALSE(fold.sits_out(rank));
      EXPECT_EQ(fold.position(rank), position);
      previous = rank;
    }
    Rank out = 0;
    for (Rank rank = 0; rank < n; ++rank) out += fold.sits_out(rank) ? 1 : 0;
    EXPECT_EQ(out, fold.extra);
    EXPECT_EQ(fold.core + fold.extra, n);
    EXPECT_EQ(fold.ranks_in(0, fold.core), n);
  }
}

}  // namespace
}  // namespace tutti::collectives
