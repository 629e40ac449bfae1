// Every algorithm, proved right for 1 to 64 ranks: with 1, 2 and 8 credits, in place and not, under
// several interleavings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

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
  if (kind == Kind::all_reduce) return {0};
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
      const Result<plan::Verdict> verdict =
          verify(shape, plan::whole_plan(GetParam().build, shape),
                 {.seed = seed, .random_interleavings = interleavings});
      ASSERT_TRUE(verdict.ok()) << describe(GetParam(), shape) << ": "
                                << verdict.status().message();
    }
  }
}

// Whether a transport may let the receiver read the sender's memory. Recursive doubling combines
// into the very data that its peer may not have read yet; all others only overwrite data that the
// receiver must have used before it could send what overwrites it.
TEST_P(EveryAlgorithm, NeedsCopiesOnlyInRecursiveDoubling) {
  const bool needs_copies = GetParam().name == "recursive_doubling";
  for (Rank ranks = 1; ranks <= 17; ++ranks) {
    const Shape shape{GetParam().kind, ranks, ranks / 2 * (GetParam().kind == Kind::broadcast)};
    const auto programs = plan::whole_plan(GetParam().build, shape);
    const Status in_place = verify_without_copies(shape, programs, true);
    const Status apart = verify_without_copies(shape, programs, false);
    EXPECT_EQ(in_place.ok(), !needs_copies || ranks == 1)
        << describe(GetParam(), shape) << ": " << in_place.message();
    EXPECT_EQ(apart.ok(), !needs_copies || ranks <= 2)
        << describe(GetParam(), shape) << ": " << apart.message();
  }
}

// O(own steps): the longest programs are a ring's. A global builder would make 16 million steps
// here.
TEST_P(EveryAlgorithm, BuildsOneOf4096RanksInItsOwnSteps) {
  constexpr Rank kRanks = 4096;
  for (const Rank rank : {0, 1, 2, 2047, 2048, 4095}) {
    const plan::Program program = plan::build(GetParam().build, rank, {GetParam().kind, kRanks, 0});
    EXPECT_LE(program.steps.size(), 4U * kRanks);
    EXPECT_LE(program.chunks, static_cast<std::uint32_t>(kRanks));
  }
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
