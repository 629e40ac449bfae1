// Every algorithm, proved right for 1 to 64 ranks: with 1, 2 and 8 credits, in place and not, under
// several interleavings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>

#include "plan/layout.h"
#include "plan/plans.h"
#include "plan/verify.h"

namespace tutti::collectives {
namespace {

using plan::Kind;
using plan::Rank;
using plan::Shape;

// Sanitized code runs some ten times slower.
#ifdef TUTTI_SANITIZE
constexpr Rank kLargest = 24;
#else
constexpr Rank kLargest = 64;
#endif

class EveryAlgorithm : public testing::TestWithParam<Algorithm> {};

std::vector<Rank> roots(Kind kind, Rank ranks, std::mt19937_64& random) {
  if (!plan::has_root(kind)) return {0};
  std::vector<Rank> chosen;
  if (ranks <= 9) {
    for (Rank root = 0; root < ranks; ++root) chosen.push_back(root);
    return chosen;
  }
  return {std::uniform_int_distribution<Rank>(0, ranks - 1)(random)};
}

TEST_P(EveryAlgorithm, IsRightForEveryRankCount) {
  const std::uint64_t seed = plan::test_seed();
  std::mt19937_64 random(seed);
  for (Rank ranks = 1; ranks <= kLargest; ++ranks) {
    for (const Rank root : roots(GetParam().kind, ranks, random)) {
      const Shape shape{GetParam().kind, ranks, root};
      // Those of large plans cost the most and show the least.
      const int interleavings = ranks <= 9 ? 8 : ranks <= 24 ? 1 : 0;
      const Result<plan::Verdict> verdict = verify(
          shape, plan::whole_plan(GetParam().build, shape),
          {.seed = seed, .random_interleavings = interleavings, .in_place = GetParam().in_place});
      ASSERT_TRUE(verdict.ok()) << describe(GetParam(), shape) << ": "
                                << verdict.status().message();
    }
  }
}

// Whether a transport may let the receiver read the sender's memory. Recursive doubling and
// dissemination combine into the very data that a peer may not have read yet, and an all-to-all in
// place receives where it has sent from; all others only overwrite data that the receiver must have
// used before it could send what overwrites it.
TEST_P(EveryAlgorithm, NeedsCopiesOnlyWherePeersExchangeInPlace) {
  const Kind kind = GetParam().kind;
  const bool combines_sent =
      (kind == Kind::all_reduce && GetParam().name == "recursive_doubling") ||
      GetParam().name == "dissemination";
  for (Rank ranks = 1; ranks <= 17; ++ranks) {
    const Shape shape{kind, ranks, plan::has_root(kind) ? ranks / 2 : 0};
    const auto programs = plan::whole_plan(GetParam().build, shape);
    const Status apart = verify_without_copies(shape, programs, false);
    EXPECT_EQ(apart.ok(), !combines_sent || ranks <= 2)
        << describe(GetParam(), shape) << ": " << apart.message();
    if (!GetParam().in_place) continue;
    const Status in_place = verify_without_copies(shape, programs, true);
    EXPECT_EQ(in_place.ok(), !(combines_sent || kind == Kind::all_to_all) || ranks == 1)
        << describe(GetParam(), shape) << ": " << in_place.message();
  }
}

TEST_P(EveryAlgorithm, IsWrongInPlaceWhereTheTableSaysSo) {
  if (GetParam().in_place) return;
  // Not so for powers of two, as it happens.
  const Shape shape{GetParam().kind, 5, 0};
  EXPECT_FALSE(verify(shape, plan::whole_plan(GetParam().build, shape)).ok());
}

// O(own steps), within 4 MiB: one rank's program, passes included. The longest are those of Bruck's
// all-to-all, which has a step for every block of every round; a builder of all ranks' steps would
// make 16 million here.
TEST_P(EveryAlgorithm, BuildsOneOf4096RanksInItsOwnSteps) {
  constexpr Rank kRanks = 4096;
  constexpr std::size_t kBytesMax = 4U << 20;
  const Shape shape{GetParam().kind, kRanks, 0};
  const std::size_t steps_max = GetParam().any_blocks ? 4U * kRanks : 12U * kRanks + 1;
  double slowest_ms = 0;
  std::size_t bytes = 0;
  for (const Rank rank : {0, 1, 2, 2047, 2048, 4095}) {
    const auto start = std::chrono::steady_clock::now();
    const plan::Program program = plan::build(GetParam().build, rank, shape);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    slowest_ms = std::max(slowest_ms, took.count());
    bytes = std::max(bytes, program.steps.capacity() * sizeof(plan::Step));
    EXPECT_LE(program.steps.size(), steps_max);
    EXPECT_LE(plan::chunks_per_buffer(shape, program.chunks), static_cast<std::uint32_t>(kRanks));
    EXPECT_LT(program.scratch_chunks, static_cast<std::uint32_t>(kRanks));
  }
  EXPECT_LE(bytes, kBytesMax);
  std::cout << describe(GetParam(), shape) << ": " << bytes << " bytes, " << slowest_ms << " ms\n";
}

TEST_P(EveryAlgorithm, LeavesASingleRankACopy) {
  const plan::Program program = plan::build(GetParam().build, 0, {GetParam().kind, 1, 0});
  ASSERT_EQ(program.steps.size(), 1U);
  EXPECT_EQ(program.steps[0].op, plan::Op::copy);
  EXPECT_EQ(program.steps[0].count, program.chunks);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryAlgorithm,
                         testing::ValuesIn(algorithms().begin(), algorithms().end()),
                         [](const testing::TestParamInfo<Algorithm>& info) {
                           return std::string(plan::name(info.param.kind)) + "_" +
                                  std::string(info.param.name);
                         });

}  // namespace
}  // namespace tutti::collectives
