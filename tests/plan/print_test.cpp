#include "plan/print.h"

#include <gtest/gtest.h>

#include <vector>

namespace tutti::plan {
namespace {

TEST(Print, NamesEveryStep) {
  EXPECT_EQ(text(Step{.op = Op::send, .flags = kFromInput, .peer = 3, .chunk = 7}),
            "send -> 3  chunk 7  from_input");
  EXPECT_EQ(text(Step{.op = Op::recv, .peer = 0, .chunk = 4, .count = 2}),
            "recv <- 0  chunks 4..5");
  EXPECT_EQ(text(Step{.op = Op::recv_reduce,
                      .flags = kIncomingFirst | kFinal | kFuseNext | kTransient,
                      .peer = 1}),
            "recv_reduce <- 1  chunk 0  incoming_first final fuse_next transient");
  EXPECT_EQ(text(Step{.op = Op::copy, .chunk = 0, .count = 8}), "copy  chunks 0..7");
}

TEST(Print, SaysThatAnEnumeratorIsInvalid) {
  EXPECT_EQ(name(static_cast<Op>(9)), "invalid");
  EXPECT_EQ(name(static_cast<Kind>(9)), "invalid");
}

TEST(Print, NumbersTheStepsOfAProgram) {
  Program p;
  p.recv(0, 0).send(2, 0);
  EXPECT_EQ(text(p), "   0  recv <- 0  chunk 0\n   1  send -> 2  chunk 0\n");
}

TEST(Print, ShowsTheShapeOfAPlan) {
  const std::vector<Program> plan(2);
  EXPECT_EQ(text("flat", {.kind = Kind::broadcast, .ranks = 2, .root = 1}, plan).substr(0, 75),
            "broadcast flat, 2 ranks, root 1, 1 chunks, messages of up to 1\nrank 0\nrank ");
  EXPECT_EQ(text("ring", {.kind = Kind::all_reduce, .ranks = 0}, {}).substr(0, 25),
            "all_reduce ring, 0 ranks\n");
}

}  // namespace
}  // namespace tutti::plan
