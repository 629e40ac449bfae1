// The closed forms of all algorithms against their plans: what the plan's steps add up to, and what
// its simulation takes.
#include <gtest/gtest.h>

#include <algorithm>

#include "collectives/rank_math.h"
#include "plan/cost.h"
#include "plan/layout.h"
#include "plan/plans.h"

namespace tutti::collectives {
namespace {

using plan::CostTerms;
using plan::Kind;
using plan::LinkModel;
using plan::Program;
using plan::Rank;
using plan::Shape;

constexpr Rank kLargest = 64;
constexpr std::int64_t kTileBytes = 1 << 20;

struct Shares {
  double messages = 0;
  double bytes = 0;
};

// The larger of what a rank sends and what it receives, and what it combines, in tiles.
CostTerms port_terms(const Shape& shape, const Program& program) {
  Shares sent;
  Shares received;
  double reduced = 0;
  for (const plan::Step& step : program.steps) {
    if (step.op == plan::Op::copy) continue;
    const double share =
        static_cast<double>(step.count) / plan::chunks_per_buffer(shape, program.chunks);
    Shares& direction = step.op == plan::Op::send ? sent : received;
    direction.messages += (step.flags & plan::kMore) == 0 ? 1 : 0;
    direction.bytes += share;
    if (step.op == plan::Op::recv_reduce) reduced += share;
  }
  return {.port_messages = std::max(sent.messages, received.messages),
          .port_bytes = std::max(sent.bytes, received.bytes),
          .port_reduce = reduced};
}

CostTerms busiest(const Shape& shape, const std::vector<Program>& programs) {
  CostTerms terms;
  for (const Program& program : programs) {
    const CostTerms own = port_terms(shape, program);
    terms.port_messages = std::max(terms.port_messages, own.port_messages);
    terms.port_bytes = std::max(terms.port_bytes, own.port_bytes);
    terms.port_reduce = std::max(terms.port_reduce, own.port_reduce);
  }
  return terms;
}

// One of alpha, beta and gamma alone.
double simulate(const Shape& shape, const std::vector<Program>& programs, double alpha, double beta,
                double gamma) {
  return simulate_seconds(shape, programs, kTileBytes,
                          {.latency_s = alpha,
                           .seconds_per_byte = beta / static_cast<double>(kTileBytes),
                           .reduce_seconds_per_byte = gamma / static_cast<double>(kTileBytes),
                           .slot_bytes = kTileBytes,
                           .lanes = 1});
}

template <typename Check>
void for_every_plan(Check check) {
  for (const Algorithm& algorithm : algorithms()) {
    for (Rank ranks = 1; ranks <= kLargest; ++ranks) {
      const Shape shape{algorithm.kind, ranks, plan::has_root(algorithm.kind) ? ranks / 3 : 0};
      SCOPED_TRACE(describe(algorithm, shape));
      check(algorithm, shape, plan::whole_plan(algorithm.build, shape), algorithm.cost(shape));
    }
  }
}

TEST(Cost, OfPortsIsWhatTheStepsAddUpTo) {
  for_every_plan([](const Algorithm&, const Shape& shape, const std::vector<Program>& programs,
                    const CostTerms& claimed) {
    const CostTerms counted = busiest(shape, programs);
    EXPECT_DOUBLE_EQ(claimed.port_messages, counted.port_messages);
    EXPECT_NEAR(claimed.port_bytes, counted.port_bytes, 1e-9);
    EXPECT_NEAR(claimed.port_reduce, counted.port_reduce, 1e-9);
  });
}

TEST(Cost, KnowsTheLargestMessage) {
  for_every_plan([](const Algorithm&, const Shape& shape, const std::vector<Program>& programs,
                    const CostTerms& claimed) {
    if (shape.ranks == 1) return;
    for (const Program& program : programs) {
      EXPECT_DOUBLE_EQ(claimed.message_fraction,
                       static_cast<double>(program.message_chunks()) /
                           plan::chunks_per_buffer(shape, program.chunks));
    }
  });
}

TEST(Cost, OfThePathIsWhatTheSimulationTakes) {
  for_every_plan([](const Algorithm& algorithm, const Shape& shape,
                    const std::vector<Program>& programs, const CostTerms& claimed) {
    const double rounds = simulate(shape, programs, 1, 0, 0);
    const double bytes = simulate(shape, programs, 0, 1, 0);
    const double reduce = simulate(shape, programs, 0, 0, 1);
    const bool power_of_two = (shape.ranks & (shape.ranks - 1)) == 0;
    if (algorithm.name != "double_binary_tree" || power_of_two) {
      EXPECT_NEAR(claimed.rounds, rounds, 1e-9);
      EXPECT_NEAR(claimed.path_bytes, bytes, 1e-9);
      EXPECT_NEAR(claimed.path_reduce, reduce, 1e-9);
      return;
    }
    // Trees that are not complete are a little faster than claimed.
    for (const auto& [claim, truth] :
         {std::pair{claimed.rounds, rounds}, std::pair{claimed.path_bytes, bytes},
          std::pair{claimed.path_reduce, reduce}}) {
      EXPECT_GE(claim, truth);
      EXPECT_LE(claim, 1.5 * truth);
    }
  });
}

// The three terms may lie on different paths, so that their sum is too much by a little at most.
TEST(Cost, OfOneTileIsNearTheSimulation) {
  for_every_plan([](const Algorithm&, const Shape& shape, const std::vector<Program>& programs,
                    const CostTerms& claimed) {
    const LinkModel model{.latency_s = 2e-6,
                          .seconds_per_byte = 1e-10,
                          .reduce_seconds_per_byte = 5e-11,
                          .slot_bytes = kTileBytes,
                          .lanes = 1};
    for (const std::int64_t bytes : {std::int64_t{8}, kTileBytes}) {
      const double predicted = predict_seconds(claimed, bytes, model);
      const double simulated = simulate_seconds(shape, programs, bytes, model);
      EXPECT_GE(predicted, simulated * (1 - 1e-9)) << bytes << " bytes";
      EXPECT_LE(predicted, simulated * 1.5) << bytes << " bytes, " << shape.ranks << " ranks";
    }
  });
}

// The least bytes that some rank must send or receive, in tiles: what it lacks or what others lack
// of it (for the all-reduce: Patarasuk and Yuan 2009, theorem 1).
double least_bytes(Kind kind, double n) {
  switch (kind) {
    case Kind::all_reduce:
      return 2 * (n - 1) / n;
    case Kind::broadcast:
    case Kind::reduce:
    case Kind::barrier:
      return 1;
    case Kind::all_gather:
    case Kind::reduce_scatter:
    case Kind::all_to_all:
    case Kind::gather:
    case Kind::scatter:
      return (n - 1) / n;
  }
  return 0;
}

// In every collective some rank must hear of all others, or all others of some rank, and who knows
// at most doubles in a round.
TEST(Cost, IsNotBelowTheLowerBounds) {
  for_every_plan([](const Algorithm& algorithm, const Shape& shape, const std::vector<Program>&,
                    const CostTerms& claimed) {
    if (shape.ranks == 1) {
      EXPECT_EQ(predict_seconds(claimed, kTileBytes, {}), 0);
      return;
    }
    const double n = shape.ranks;
    EXPECT_GE(claimed.path_bytes, least_bytes(algorithm.kind, n) - 1e-9);
    EXPECT_GE(claimed.rounds, ceil_log2(shape.ranks));
    if (plan::reduces(algorithm.kind)) {
      EXPECT_GE(claimed.path_reduce, (n - 1) / n - 1e-9);
    }
  });
}

// One algorithm of each kind has the fewest rounds, and one the fewest bytes on the path or, where
// tiles follow one another, at the busiest rank.
TEST(Cost, MeetsTheLowerBoundsInEveryKind) {
  for (int i = 0; i < kCollectiveCount; ++i) {
    const auto kind = static_cast<Kind>(i);
    for (const Rank ranks : {2, 4, 16, 64, 1024}) {
      const Shape shape{kind, ranks, 0};
      double rounds = 1e9;
      double bytes = 1e9;
      for (const Algorithm& algorithm : algorithms()) {
        if (algorithm.kind != kind) continue;
        const CostTerms terms = algorithm.cost(shape);
        rounds = std::min(rounds, terms.rounds);
        bytes = std::min(bytes, terms.port_bytes);
      }
      EXPECT_EQ(rounds, ceil_log2(ranks)) << name(kind) << " of " << ranks;
      // A barrier has no bytes to speak of.
      if (kind == Kind::barrier) continue;
      EXPECT_NEAR(bytes, least_bytes(kind, ranks), 1e-9) << name(kind) << " of " << ranks;
    }
  }
}

}  // namespace
}  // namespace tutti::collectives
