// The verifier's every error, on small plans that are wrong in one way.
#include "plan/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "plan/passes.h"
#include "plan/single_pass.h"

namespace tutti::plan {
namespace {

using ::testing::HasSubstr;

using Plan = std::vector<Program>;

constexpr Shape kReduce{.kind = Kind::all_reduce, .ranks = 2};
constexpr Shape kBroadcast{.kind = Kind::broadcast, .ranks = 2, .root = 0};

// Both ranks send their value and combine: right.
Program exchange(Rank rank, const Shape&) {
  Program p;
  const Rank peer = 1 - rank;
  return p.send(peer, 0).recv_reduce(peer, 0, 1,
                                     peer < rank ? kFinal | kIncomingFirst : int{kFinal});
}

Program relay(Rank rank, const Shape&) {
  Program p;
  return rank == 0 ? p.send(1, 0) : p.recv(0, 0);
}

Plan plan_of(Builder builder, const Shape& shape) {
  Plan plan;
  for (Rank rank = 0; rank < shape.ranks; ++rank) plan.push_back(build(builder, rank, shape));
  return plan;
}

std::string fault(const Shape& shape, const Plan& plan) {
  const Result<Verdict> verdict = verify(shape, plan);
  return verdict.ok() ? "right" : std::string(verdict.status().message());
}

std::string fault_after(const std::function<void(Plan&)>& change) {
  Plan plan = plan_of(exchange, kReduce);
  change(plan);
  return fault(kReduce, plan);
}

std::string broadcast_fault_after(const std::function<void(Plan&)>& change) {
  Plan plan = plan_of(relay, kBroadcast);
  change(plan);
  return fault(kBroadcast, plan);
}

TEST(Verify, PassesWhatIsRight) {
  EXPECT_EQ(fault(kReduce, plan_of(exchange, kReduce)), "right");
  EXPECT_EQ(fault(kBroadcast, plan_of(relay, kBroadcast)), "right");
}

TEST(Verify, VerdictTellsOrderFromGrouping) {
  Plan plan = plan_of(exchange, kReduce);
  const Verdict right = *verify(kReduce, plan);
  for (Program& program : plan) program.steps[1].flags ^= kIncomingFirst;
  const Verdict turned = *verify(kReduce, plan);
  EXPECT_NE(turned.order, right.order);
  EXPECT_EQ(turned.grouping, right.grouping);
}

TEST(Structure, NamesTheFaultyStep) {
  const auto first_step = [](const std::function<void(Step&)>& change) {
    return fault_after([&](Plan& plan) { change(plan[1].steps[0]); });
  };
  EXPECT_EQ(first_step([](Step& step) { step.op = static_cast<Op>(4); }),
            "plan: rank 1 step 0 (invalid  chunk 0  from_input) has an unknown op");
  EXPECT_EQ(first_step([](Step& step) { step.scratch = 1; }),
            "plan: rank 1 step 0 (send -> 0  chunk 0  from_input) has a scratch position that it "
            "does not use");
  EXPECT_THAT(first_step([](Step& step) {
                step.op = Op::copy;
                step.flags = 0;
              }),
              HasSubstr("copies, and yet names a peer"));
  EXPECT_THAT(first_step([](Step& step) { step.peer = 2; }),
              HasSubstr("(send -> 2  chunk 0  from_input) names a peer out of range"));
  EXPECT_THAT(first_step([](Step& step) { step.peer = -1; }), HasSubstr("peer out of range"));
  EXPECT_THAT(first_step([](Step& step) { step.peer = 1; }),
              HasSubstr("names its own rank as peer"));
  EXPECT_THAT(first_step([](Step& step) { step.count = 2; }),
              HasSubstr("covers chunks out of range"));
  EXPECT_THAT(first_step([](Step& step) { step.count = 0; }), HasSubstr("covers no chunk"));
  EXPECT_THAT(first_step([](Step& step) { step.chunk = 1; }),
              HasSubstr("covers chunks out of range"));
  EXPECT_THAT(first_step([](Step& step) { step.flags |= kFinal; }),
              HasSubstr("has a flag that its op does not take"));
}

TEST(Structure, WantsFusedStepsInPairs) {
  EXPECT_THAT(fault_after([](Plan& plan) { plan[0].steps[1].flags |= kTransient; }),
              HasSubstr("is transient, but not fused with a send"));
  EXPECT_THAT(fault_after([](Plan& plan) { plan[0].steps[1].flags |= kFuseNext; }),
              HasSubstr("is fused, but not with a send of the chunks that it stores"));
}

TEST(Structure, WantsEqualTilesOnAllRanks) {
  EXPECT_EQ(fault_after([](Plan& plan) { plan.pop_back(); }), "plan: 1 programs for 2 ranks");
  EXPECT_EQ(fault_after([](Plan& plan) { plan[1].chunks = 2; }),
            "plan: rank 1 has 2 chunks and rank 0 has 1");
  EXPECT_EQ(fault_after([](Plan& plan) { plan[1].largest_message = 2; }),
            "plan: rank 1 has messages of up to 2 chunks and rank 0 of up to 1");
  EXPECT_EQ(fault_after([](Plan& plan) {
              for (Program& program : plan) program.largest_message = 2;
            }),
            "plan: messages of up to 2 chunks are declared, the largest is 1");
}

TEST(Structure, ForbidsReductionsInABroadcast) {
  EXPECT_THAT(
      broadcast_fault_after([](Plan& plan) { plan[1].steps[0].op = Op::recv_reduce; }),
      HasSubstr("rank 1 step 0 (recv_reduce <- 0  chunk 0) reduces in a collective that moves"));
}

TEST(Verify, FindsReadsOfUndefinedValues) {
  EXPECT_EQ(fault_after([](Plan& plan) { plan[0].steps[0].flags = 0; }),
            "plan: rank 0 step 0 (send -> 1  chunk 0) sends chunk 0, which holds nothing defined "
            "(credits 1, not in place, eager interleaving, late rank 0, seed 1)");
  EXPECT_THAT(fault_after([](Plan& plan) { plan[0].steps[1].flags = kFinal; }),
              HasSubstr("rank 0 step 1 (recv_reduce <- 1  chunk 0  final) reduces into chunk 0, "
                        "which holds nothing defined"));
  EXPECT_THAT(broadcast_fault_after([](Plan& plan) { plan[1].steps.push_back({.op = Op::copy}); }),
              HasSubstr("rank 1 step 1 (copy  chunk 0) reads chunks that the input does not have"));
}

TEST(Verify, TreatsATransientValueAsUndefined) {
  const Shape shape{.kind = Kind::all_reduce, .ranks = 2};
  Plan plan(2);
  plan[0].send(1, 0).recv(1, 0);
  plan[1].recv_reduce(0, 0, 1, kFinal).send(0, 0);
  for (Rank rank = 0; rank < 2; ++rank) {
    resolve_buffers(plan[static_cast<std::size_t>(rank)], rank, shape);
    fuse(plan[static_cast<std::size_t>(rank)], rank, shape);
  }
  EXPECT_EQ(fault(shape, plan), "right");
  plan[1].steps[0].flags |= kTransient;
  EXPECT_THAT(fault(shape, plan), HasSubstr("rank 1 ends with nothing defined in chunk 0"));
}

TEST(Verify, FindsAReductionAfterTheFinalOne) {
  EXPECT_THAT(fault_after([](Plan& plan) {
                const Step last{.op = Op::recv_reduce, .flags = kFinal, .peer = 1};
                plan[0].steps.push_back(last);
                plan[1].steps.push_back({.op = Op::send, .flags = kFromInput, .peer = 0});
              }),
              HasSubstr("rank 0 step 2 (recv_reduce <- 1  chunk 0  final) reduces chunk 0 further, "
                        "which was final"));
}

TEST(Verify, FindsDeadlock) {
  EXPECT_THAT(fault_after([](Plan& plan) {
                for (Program& program : plan) std::swap(program.steps[0], program.steps[1]);
              }),
              HasSubstr("deadlock: rank 0 step 0 (recv_reduce <- 1  chunk 0  final from_input); "
                        "rank 1 step 0 (recv_reduce <- 0"));
}

TEST(Verify, FindsADependenceOnBuffering) {
  // Two messages before the first receive: right with two credits, deadlock with one.
  Plan plan(2, Program{.chunks = 2, .largest_message = 1, .steps = {}});
  for (Rank rank = 0; rank < 2; ++rank) {
    const Rank peer = 1 - rank;
    const std::uint8_t flags = peer < rank ? kFinal | kIncomingFirst : int{kFinal};
    Program& p = plan[static_cast<std::size_t>(rank)];
    p.send(peer, 0).send(peer, 1).recv_reduce(peer, 0, 1, flags).recv_reduce(peer, 1, 1, flags);
    resolve_buffers(p, rank, kReduce);
  }
  EXPECT_THAT(fault(kReduce, plan), HasSubstr("deadlock: rank 0 step 1 (send -> 1  chunk 1"));
  EXPECT_THAT(fault(kReduce, plan), HasSubstr("(credits 1, "));
}

TEST(Verify, FindsMessagesLeftOver) {
  EXPECT_THAT(fault_after([](Plan& plan) { plan[1].steps.push_back({.op = Op::send, .peer = 0}); }),
              HasSubstr("rank 1 step 2 (send -> 0  chunk 0) sent a message that nobody takes"));
}

TEST(Verify, FindsMessagesOfOtherChunks) {
  Plan plan(2, Program{.chunks = 2, .largest_message = 2, .steps = {}});
  plan[0].send(1, 0, 2).steps.push_back({.op = Op::copy, .count = 2});
  plan[0].steps[0].flags = kFromInput;
  plan[1].recv(0, 0, 1).recv(0, 1, 1);
  EXPECT_THAT(fault(kBroadcast, plan),
              HasSubstr("rank 1 step 0 (recv <- 0  chunk 0) takes a message of other chunks, from "
                        "rank 0 step 0 (send -> 1  chunks 0..1  from_input)"));
}

TEST(Verify, FindsLostContributions) {
  EXPECT_THAT(
      fault_after([](Plan& plan) {
        plan[0].steps[1].op = Op::recv;
        plan[0].steps[1].flags = 0;
      }),
      HasSubstr("rank 0 ends with a wrong value in chunk 0: a contribution is lost, doubled "
                "or misplaced"));
}

TEST(Verify, FindsResultsThatAreNotFinal) {
  EXPECT_THAT(fault_after([](Plan& plan) { plan[1].steps[1].flags &= ~kFinal & 0xff; }),
              HasSubstr("rank 1 ends with a value in chunk 0 that no step made final"));
}

TEST(Verify, FindsRanksThatCombineInOtherOrders) {
  EXPECT_THAT(fault_after([](Plan& plan) { plan[1].steps[1].flags ^= kIncomingFirst; }),
              HasSubstr("rank 1 combined the values of chunk 0 in another order than rank 0"));
}

TEST(Verify, FindsInputsOverwrittenInPlace) {
  // Rank 0 keeps the received value and only then sends its own from its input.
  Plan plan(2);
  plan[0].recv(1, 0).send(1, 0).recv(1, 0);
  plan[0].steps[1].flags = kFromInput;
  plan[1].send(0, 0).recv_reduce(0, 0, 1, kFinal).send(0, 0);
  resolve_buffers(plan[1], 1, kReduce);
  const std::string message = fault(kReduce, plan);
  EXPECT_THAT(message, HasSubstr("ends with a wrong value"));
  EXPECT_THAT(message, HasSubstr(", in place, "));
}

TEST(WithoutCopies, FindsDataThatChangesUnderTheReader) {
  const Plan plan = plan_of(exchange, kReduce);
  EXPECT_TRUE(verify_without_copies(kReduce, plan, false).ok());
  const Status status = verify_without_copies(kReduce, plan, true);
  EXPECT_THAT(
      std::string(status.message()),
      HasSubstr("rank 0 step 1 (recv_reduce <- 1  chunk 0  final from_input) reads too late: "
                "the data has changed since rank 1 step 0 (send -> 0  chunk 0  from_input)"));
  EXPECT_THAT(std::string(verify_without_copies(kReduce, {}, true).message()),
              HasSubstr("0 programs for 2 ranks"));
}

}  // namespace
}  // namespace tutti::plan
