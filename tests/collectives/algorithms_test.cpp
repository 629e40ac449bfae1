// The table and the choice from it.
#include "collectives/algorithms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tutti::collectives {
namespace {

using plan::Kind;
using plan::LinkModel;
using plan::Rank;
using plan::Shape;

std::vector<std::string> names_of(Kind kind) {
  std::vector<std::string> names;
  for (const Algorithm& row : algorithms()) {
    if (row.kind == kind) names.emplace_back(row.name);
  }
  return names;
}

TEST(Algorithms, AreInTheTable) {
  EXPECT_THAT(names_of(Kind::all_reduce),
              testing::ElementsAre("ring", "double_binary_tree", "recursive_doubling",
                                   "halving_doubling", "reduce_scatter_all_gather", "direct"));
  EXPECT_THAT(names_of(Kind::broadcast),
              testing::ElementsAre("binomial", "chain", "double_binary_tree", "scatter_all_gather",
                                   "circulant", "flat"));
  EXPECT_THAT(names_of(Kind::reduce),
              testing::ElementsAre("binomial", "chain", "double_binary_tree",
                                   "reduce_scatter_gather", "flat"));
  EXPECT_THAT(names_of(Kind::all_gather),
              testing::ElementsAre("ring", "recursive_doubling", "bruck", "pat", "direct"));
  EXPECT_THAT(names_of(Kind::reduce_scatter),
              testing::ElementsAre("ring", "halving", "bruck", "pat", "pairwise"));
  EXPECT_THAT(names_of(Kind::all_to_all), testing::ElementsAre("pairwise", "direct", "bruck"));
  EXPECT_THAT(names_of(Kind::gather), testing::ElementsAre("binomial", "flat"));
  EXPECT_THAT(names_of(Kind::scatter), testing::ElementsAre("binomial", "flat"));
  EXPECT_THAT(names_of(Kind::barrier), testing::ElementsAre("dissemination", "tree"));
}

TEST(Algorithms, AreFoundByKindAndName) {
  for (const Algorithm& row : algorithms()) EXPECT_EQ(find(row.kind, row.name), &row);
  EXPECT_EQ(find(Kind::all_reduce, "chain"), nullptr);
  EXPECT_EQ(find(Kind::broadcast, "ring"), nullptr);
  EXPECT_EQ(find(Kind::all_reduce, ""), nullptr);
}

TEST(Select, TakesTheLeastPredictedTime) {
  const LinkModel model;
  for (int i = 0; i < kCollectiveCount; ++i) {
    const auto kind = static_cast<Kind>(i);
    for (Rank ranks = 1; ranks <= 70; ++ranks) {
      const Shape shape{kind, ranks, 0};
      for (std::int64_t bytes = 1; bytes <= std::int64_t{1} << 36; bytes *= 8) {
        const Algorithm& chosen = select(shape, bytes, model);
        ASSERT_EQ(chosen.kind, kind);
        const double least = predict_seconds(chosen.cost(shape), bytes, model);
        for (const Algorithm& row : algorithms()) {
          if (row.kind != kind) continue;
          EXPECT_LE(least, predict_seconds(row.cost(shape), bytes, model))
              << row.name << " beats " << chosen.name;
        }
        EXPECT_EQ(&select(shape, bytes, model), &chosen);
      }
    }
  }
}

TEST(Select, BreaksTiesByTheOrderOfTheTable) {
  EXPECT_EQ(select({Kind::all_reduce, 1, 0}, 1024, {}).name, "ring");
  EXPECT_EQ(select({Kind::broadcast, 2, 0}, 8, {}).name, "binomial");
  EXPECT_EQ(select({Kind::all_reduce, 8, 0}, 0, {}).name, "ring");
}

TEST(Select, SuitsTheSize) {
  const LinkModel model;
  EXPECT_EQ(select({Kind::all_reduce, 16, 0}, 8, model).name, "recursive_doubling");
  EXPECT_EQ(select({Kind::all_reduce, 16, 0}, 256 << 10, model).name, "halving_doubling");
  // Where folding would double the bytes.
  EXPECT_EQ(select({Kind::all_reduce, 5, 0}, 1 << 20, model).name, "ring");
  EXPECT_EQ(select({Kind::broadcast, 16, 0}, 8, model).name, "binomial");
  EXPECT_EQ(select({Kind::broadcast, 3, 0}, 1 << 30, model).name, "chain");
  // Many ranks: a ring takes too many rounds, and enough lanes keep the trees busy.
  EXPECT_EQ(select({Kind::all_reduce, 1000, 0}, 64 << 20, {.lanes = 16}).name,
            "double_binary_tree");
  // Neither a power of two nor pipelined.
  EXPECT_EQ(select({Kind::all_reduce, 12, 0}, 256 << 10, model).name, "reduce_scatter_all_gather");
  EXPECT_EQ(select({Kind::broadcast, 64, 0}, 512 << 10, model).name, "circulant");
}

// Few ranks, many ranks, and sizes between.
TEST(Select, SuitsTheSizeOfBlocks) {
  const LinkModel model;
  const auto chosen = [&](Kind kind, Rank ranks, std::int64_t bytes) {
    return select({kind, ranks, 0}, bytes, model).name;
  };
  EXPECT_EQ(chosen(Kind::all_gather, 16, 1024), "recursive_doubling");
  EXPECT_EQ(chosen(Kind::all_gather, 17, 1024), "bruck");
  EXPECT_EQ(chosen(Kind::all_gather, 64, 2 << 20), "pat");
  EXPECT_EQ(chosen(Kind::all_gather, 64, 64 << 20), "ring");
  EXPECT_EQ(chosen(Kind::reduce_scatter, 16, 1024), "halving");
  EXPECT_EQ(chosen(Kind::reduce_scatter, 17, 1024), "bruck");
  EXPECT_EQ(chosen(Kind::reduce_scatter, 64, 2 << 20), "pat");
  EXPECT_EQ(chosen(Kind::reduce_scatter, 64, 64 << 20), "ring");
  EXPECT_EQ(chosen(Kind::all_to_all, 16, 1024), "bruck");
  EXPECT_EQ(chosen(Kind::all_to_all, 16, 4 << 20), "pairwise");
  EXPECT_EQ(chosen(Kind::all_to_all, 17, 4 << 20), "direct");
  EXPECT_EQ(chosen(Kind::gather, 16, 1024), "binomial");
  EXPECT_EQ(chosen(Kind::gather, 16, 64 << 20), "flat");
  EXPECT_EQ(chosen(Kind::scatter, 16, 1024), "binomial");
  EXPECT_EQ(chosen(Kind::scatter, 16, 64 << 20), "flat");
  EXPECT_EQ(chosen(Kind::reduce, 16, 1024), "binomial");
  EXPECT_EQ(chosen(Kind::reduce, 16, 256 << 10), "reduce_scatter_gather");
  EXPECT_EQ(chosen(Kind::reduce, 3, 64 << 20), "chain");
  EXPECT_EQ(chosen(Kind::barrier, 16, 1), "dissemination");
}

// Bruck's forwards blocks whose sizes only their senders and receivers know.
TEST(Select, LeavesOutRowsThatNeedUnknownSizes) {
  const Shape shape{Kind::all_to_all, 16, 0};
  EXPECT_EQ(select(shape, 1024, {}, /*any_blocks=*/true).name, "pairwise");
  for (const Algorithm& row : algorithms()) {
    EXPECT_EQ(row.any_blocks, row.kind != Kind::all_to_all || row.name != "bruck") << row.name;
  }
}

}  // namespace
}  // namespace tutti::collectives
