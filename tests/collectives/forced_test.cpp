#include "collectives/forced.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "collectives/algorithms.h"

namespace tutti::collectives {
namespace {

using plan::Kind;

std::string fault(std::string_view text, std::span<const Name> others = {}) {
  const Result<Forced> forced = parse_forced(text, others);
  if (forced.ok()) return "right";
  EXPECT_EQ(forced.status().code(), Code::invalid_environment);
  return std::string(forced.status().message());
}

TEST(Forced, IsEmptyWhenNothingIsForced) {
  const Result<Forced> forced = parse_forced("");
  ASSERT_TRUE(forced.ok());
  for (const std::string& name : forced->names) EXPECT_EQ(name, "");
}

TEST(Forced, NamesAnAlgorithmPerCollective) {
  const Result<Forced> both = parse_forced("all_reduce:ring,broadcast:chain");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->of(Kind::all_reduce), "ring");
  EXPECT_EQ(both->of(Kind::broadcast), "chain");
  const Result<Forced> one = parse_forced("broadcast:flat");
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->of(Kind::all_reduce), "");
  EXPECT_EQ(one->of(Kind::broadcast), "flat");
}

TEST(Forced, TakesEveryRowOfTheTable) {
  for (const Algorithm& row : algorithms()) {
    const std::string entry = std::string(name(row.kind)) + ":" + std::string(row.name);
    const Result<Forced> forced = parse_forced(entry);
    ASSERT_TRUE(forced.ok()) << forced.status().message();
    for (int i = 0; i < kCollectiveCount; ++i) {
      const auto kind = static_cast<Kind>(i);
      EXPECT_EQ(forced->of(kind), kind == row.kind ? row.name : "") << entry;
    }
  }
}

TEST(Forced, TakesTheCallersNames) {
  constexpr std::array engines = {Name{Kind::all_reduce, "shm"}};
  const Result<Forced> forced = parse_forced("all_reduce:shm", engines);
  ASSERT_TRUE(forced.ok());
  EXPECT_EQ(forced->of(Kind::all_reduce), "shm");
  EXPECT_EQ(fault("broadcast:shm", engines),
            "TUTTI_ALGORITHM=broadcast:shm: no such algorithm; broadcast has binomial, chain, "
            "double_binary_tree, scatter_all_gather, circulant, flat. Did you mean chain?");
}

TEST(Forced, ListsTheAlgorithms) {
  constexpr std::array engines = {Name{Kind::all_reduce, "shm"}};
  EXPECT_EQ(fault("broadcast:chain,all_reduce:rng", engines),
            "TUTTI_ALGORITHM=all_reduce:rng: no such algorithm; all_reduce has ring, "
            "double_binary_tree, recursive_doubling, halving_doubling, reduce_scatter_all_gather, "
            "direct, shm. Did you mean ring?");
}

TEST(Forced, ListsTheCollectives) {
  EXPECT_EQ(fault("allreduce:ring"),
            "TUTTI_ALGORITHM=allreduce:ring: no such collective; there are all_reduce, broadcast, "
            "reduce, all_gather, reduce_scatter, all_to_all, gather, scatter, barrier. Did you "
            "mean all_reduce?");
  EXPECT_EQ(fault("barier:tree").substr(fault("barier:tree").find("Did")), "Did you mean barrier?");
}

TEST(Forced, SaysWhatAnEntryLooksLike) {
  const std::string expected = ": expected collective:algorithm, for example all_reduce:ring";
  EXPECT_EQ(fault("ring"), "TUTTI_ALGORITHM=ring" + expected);
  EXPECT_EQ(fault("all_reduce:ring,"), "TUTTI_ALGORITHM=" + expected);
  EXPECT_EQ(fault(","), "TUTTI_ALGORITHM=" + expected);
}

TEST(Forced, TakesACollectiveOnce) {
  EXPECT_EQ(fault("all_reduce:ring,all_reduce:direct"),
            "TUTTI_ALGORITHM=all_reduce:ring,all_reduce:direct: all_reduce is given twice, as ring "
            "and direct; give it once");
}

}  // namespace
}  // namespace tutti::collectives
