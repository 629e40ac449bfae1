#include "plan/passes.h"

#include <gtest/gtest.h>

#include <vector>

#include "plan/single_pass.h"

namespace tutti::plan {
namespace {

constexpr Shape kAllReduce{Kind::all_reduce, 3, 0};

std::vector<int> flags_of(const Program& program) {
  std::vector<int> flags;
  for (const Step& step : program.steps) flags.push_back(step.flags);
  return flags;
}

TEST(ResolveBuffers, ReadsTheInputUntilTheChunkIsWritten) {
  Program p{.chunks = 2, .largest_message = 1, .steps = {}};
  p.send(1, 0).recv_reduce(1, 1).send(1, 1).recv(1, 0).send(1, 0);
  resolve_buffers(p, 0, kAllReduce);
  EXPECT_EQ(flags_of(p), (std::vector<int>{kFromInput, kFromInput, 0, 0, 0}));
}

TEST(ResolveBuffers, CopiesWhatNobodyWrites) {
  Program p{.chunks = 5, .largest_message = 5, .steps = {}};
  p.send(1, 0, 5).recv(1, 2, 1);
  resolve_buffers(p, 0, kAllReduce);
  ASSERT_EQ(p.steps.size(), 4U);
  EXPECT_EQ(p.steps[2], (Step{.op = Op::copy, .chunk = 0, .count = 2}));
  EXPECT_EQ(p.steps[3], (Step{.op = Op::copy, .chunk = 3, .count = 2}));
}

TEST(ResolveBuffers, LeavesARankWithoutInputAlone) {
  Program p;
  p.recv(0, 0).send(2, 0);
  const Program before = p;
  resolve_buffers(p, 1, {Kind::broadcast, 3, 0});
  EXPECT_EQ(p, before);
}

TEST(Fuse, JoinsReceivesWithSendsOfTheSameChunks) {
  Program p{.chunks = 3, .largest_message = 2, .steps = {}};
  p.recv(0, 0).send(2, 0).recv(0, 1).send(2, 2).recv(0, 1, 2).send(2, 1).recv(0, 0);
  fuse(p, 0, kAllReduce);
  EXPECT_EQ(flags_of(p), (std::vector<int>{kFuseNext, 0, 0, 0, 0, 0, 0}));
}

TEST(Fuse, KeepsAReductionThatIsTheResult) {
  Program p;
  p.recv_reduce(0, 0, 1, kFinal).send(0, 0);
  fuse(p, 0, kAllReduce);
  EXPECT_EQ(flags_of(p), (std::vector<int>{kFinal | kFuseNext, 0}));
}

TEST(Fuse, DropsAReductionThatIsOverwritten) {
  Program p;
  p.recv_reduce(0, 0).send(1, 0).recv(1, 0);
  fuse(p, 0, kAllReduce);
  EXPECT_EQ(flags_of(p), (std::vector<int>{kFuseNext | kTransient, 0, 0}));
}

TEST(Fuse, KeepsAReductionThatIsSentTwice) {
  Program p;
  p.recv_reduce(0, 0).send(1, 0).send(2, 0).recv(1, 0);
  fuse(p, 0, kAllReduce);
  EXPECT_EQ(flags_of(p), (std::vector<int>{kFuseNext, 0, 0, 0}));
}

TEST(Fuse, KeepsAReductionOfWhichAPartIsReadLater) {
  Program p{.chunks = 2, .largest_message = 2, .steps = {}};
  p.recv_reduce(0, 0, 2).send(1, 0, 2).recv(1, 0, 1).recv_reduce(1, 1, 1);
  fuse(p, 0, kAllReduce);
  EXPECT_EQ(flags_of(p), (std::vector<int>{kFuseNext, 0, 0, 0}));
}

TEST(StableSends, AreThoseWhoseChunksStayAsTheyAre) {
  Program p{.chunks = 3, .largest_message = 2, .steps = {}};
  p.send(1, 0).recv_reduce(1, 1).send(1, 1).recv(1, 0).send(1, 0).send(1, 1, 2).recv(1, 2);
  EXPECT_EQ(stable_sends(p, kAllReduce),
            (std::vector<bool>{false, false, true, false, true, false, false}));
}

TEST(StableSends, ACopyOntoItselfWritesNothing) {
  Program p{.chunks = 2, .largest_message = 2, .steps = {}};
  p.send(1, 0, 2).send(1, 1);
  p.steps.push_back({.op = Op::copy, .chunk = 0, .count = 1});
  EXPECT_EQ(stable_sends(p, kAllReduce), (std::vector<bool>{true, true, false}));
  const Shape all_to_all{.kind = Kind::all_to_all, .ranks = 2};
  EXPECT_EQ(stable_sends(p, all_to_all), (std::vector<bool>{false, false, false}));
}

Program relay(Rank rank, const Shape& shape) {
  Program p;
  if (rank > 0) p.recv(rank - 1, 0);
  if (rank + 1 < shape.ranks) p.send(rank + 1, 0);
  return p;
}

TEST(Build, AppliesAllPasses) {
  const Shape shape{.kind = Kind::broadcast, .ranks = 3, .root = 0};
  EXPECT_EQ(
      build(relay, 0, shape).steps,
      (std::vector<Step>{{.op = Op::send, .flags = kFromInput, .peer = 1}, {.op = Op::copy}}));
  EXPECT_EQ(build(relay, 1, shape).steps,
            (std::vector<Step>{{.op = Op::recv, .flags = kFuseNext, .peer = 0},
                               {.op = Op::send, .peer = 2}}));
}

TEST(Build, LetsASingleRankCopy) {
  const Shape shape{.kind = Kind::all_reduce, .ranks = 1};
  EXPECT_EQ(build(relay, 0, shape).steps, (std::vector<Step>{{.op = Op::copy}}));
}

}  // namespace
}  // namespace tutti::plan
