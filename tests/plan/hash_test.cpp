#include "plan/hash.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace tutti::plan {
namespace {

Program example() {
  Program p{.chunks = 2, .largest_message = 1, .steps = {}};
  return p.send(1, 0).recv_reduce(1, 1, 1, kFinal);
}

// The values are those of a separate program for FNV-1a. Ranks with different builds compare
// hashes, so a new value here is a change of the protocol.
TEST(Hash, IsTheSameInEveryBuild) {
  EXPECT_EQ(hash(Program{}), 0x2e658d91a8b884d5U);
  EXPECT_EQ(hash(example()), 0xe25d12ff85222941U);
  const std::vector<Program> plan = {example(), Program{}};
  EXPECT_EQ(hash(plan), 0x4b5fcd4875ccda56U);
}

TEST(Hash, DependsOnEveryField) {
  std::set<std::uint64_t> seen = {hash(example())};
  const auto expect_new = [&](auto change) {
    Program p = example();
    change(p);
    EXPECT_TRUE(seen.insert(hash(p)).second);
  };
  expect_new([](Program& p) { p.chunks = 3; });
  expect_new([](Program& p) { p.largest_message = 2; });
  expect_new([](Program& p) { p.steps.pop_back(); });
  expect_new([](Program& p) { std::swap(p.steps[0], p.steps[1]); });
  expect_new([](Program& p) { p.steps[0].op = Op::recv; });
  expect_new([](Program& p) { p.steps[0].flags = kFromInput; });
  expect_new([](Program& p) { p.steps[0].scratch = 1; });
  expect_new([](Program& p) { p.steps[0].peer = 2; });
  expect_new([](Program& p) { p.steps[0].chunk = 1; });
  expect_new([](Program& p) { p.steps[0].count = 2; });
}

TEST(Hash, OfAPlanDependsOnTheOrderOfRanks) {
  const std::vector<Program> plan = {example(), Program{}};
  const std::vector<Program> other = {Program{}, example()};
  EXPECT_NE(hash(plan), hash(other));
}

}  // namespace
}  // namespace tutti::plan
