#include "plan/cost.h"

#include <gtest/gtest.h>

#include <vector>

namespace tutti::plan {
namespace {

constexpr LinkModel kModel{.latency_s = 1,
                           .seconds_per_byte = 0.25,
                           .reduce_seconds_per_byte = 0.5,
                           .slot_bytes = 8,
                           .lanes = 2};

TEST(PredictSeconds, IsZeroForNothing) {
  EXPECT_EQ(predict_seconds({.rounds = 3}, 0, kModel), 0);
}

TEST(PredictSeconds, AddsTheTermsOfOneTile) {
  const CostTerms terms{.rounds = 2, .path_bytes = 3, .path_reduce = 0.5, .port_messages = 100};
  EXPECT_DOUBLE_EQ(predict_seconds(terms, 8, kModel), 2 + 3 * 8 * 0.25 + 0.5 * 8 * 0.5);
}

TEST(PredictSeconds, AddsTheBusiestPortForFurtherTiles) {
  const CostTerms terms{.rounds = 1, .path_bytes = 1, .port_messages = 1, .port_bytes = 1};
  // Three tiles of 8 bytes, 3 seconds each.
  EXPECT_DOUBLE_EQ(predict_seconds(terms, 24, kModel), 9);
  // Tiles are equal: 17 bytes are three of 17/3.
  EXPECT_DOUBLE_EQ(predict_seconds(terms, 17, kModel), 3 + 17 * 0.25);
}

TEST(PredictSeconds, CannotBeFasterThanTheLanes) {
  const CostTerms terms{.rounds = 9, .path_bytes = 9, .port_messages = 1, .port_bytes = 1};
  // A tile takes 27 seconds, and two are under way at a time.
  EXPECT_DOUBLE_EQ(predict_seconds(terms, 16, kModel), 27 + 27 / 2.0);
}

TEST(PredictSeconds, CutsLargerTilesForSmallerMessages) {
  const CostTerms terms{.rounds = 1, .path_bytes = 1, .port_messages = 1, .message_fraction = 0.25};
  EXPECT_DOUBLE_EQ(predict_seconds(terms, 32, kModel), 1 + 8);
}

double simulate(const std::vector<Program>& plan, Kind kind = Kind::all_reduce) {
  const Shape shape{.kind = kind, .ranks = static_cast<Rank>(plan.size())};
  return simulate_seconds(shape, plan, 8, kModel);
}

TEST(SimulateSeconds, RunsAPipelineOfRanks) {
  std::vector<Program> plan(3);
  plan[0].send(1, 0);
  plan[1].recv(0, 0).send(2, 0);
  plan[2].recv_reduce(1, 0);
  // Two messages of 8 bytes in a row, and one reduction.
  EXPECT_DOUBLE_EQ(simulate(plan), 3 + 3 + 4);
}

TEST(SimulateSeconds, LetsAPortDoOneMessageAtATime) {
  std::vector<Program> plan(3);
  plan[0].send(1, 0).send(2, 0);
  plan[1].recv(0, 0);
  plan[2].recv(0, 0);
  EXPECT_DOUBLE_EQ(simulate(plan), 6);
  plan.assign(3, {});
  plan[0].recv(1, 0).recv(2, 0);
  plan[1].send(0, 0);
  plan[2].send(0, 0);
  EXPECT_DOUBLE_EQ(simulate(plan), 6);
}

TEST(SimulateSeconds, SendsAndReceivesAtOnce) {
  std::vector<Program> plan(2);
  plan[0].send(1, 0).recv(1, 0);
  plan[1].send(0, 0).recv(0, 0);
  EXPECT_DOUBLE_EQ(simulate(plan), 3);
}

TEST(SimulateSeconds, CountsChunksNotTiles) {
  std::vector<Program> plan(2, Program{.chunks = 4, .largest_message = 3, .steps = {}});
  plan[0].send(1, 1, 3);
  plan[1].recv(0, 1, 3);
  EXPECT_DOUBLE_EQ(simulate(plan), 1 + 6 * 0.25);
}

TEST(SimulateSeconds, TakesAShareOfOneRanksBlocks) {
  // Four blocks, of which a rank has two: 8 bytes.
  std::vector<Program> plan(2, Program{.chunks = 4, .largest_message = 1, .steps = {}});
  plan[0].send(1, 1);
  plan[1].recv(0, 1);
  EXPECT_DOUBLE_EQ(simulate(plan, Kind::all_to_all), 1 + 4 * 0.25);
}

TEST(SimulateSeconds, CountsALatencyPerMessageNotPerPart) {
  std::vector<Program> plan(2, Program{.chunks = 4, .largest_message = 3, .steps = {}});
  plan[0].send(1, 3).more().send(1, 0, 2);
  // Cut in another way.
  plan[1].recv_reduce(0, 3).more().recv_reduce(0, 0).more().recv_reduce(0, 1);
  EXPECT_DOUBLE_EQ(simulate(plan), 1 + 6 * 0.25 + 6 * 0.5);
}

}  // namespace
}  // namespace tutti::plan
