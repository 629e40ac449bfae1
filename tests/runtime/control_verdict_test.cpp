#include "runtime/control_verdict.h"

#include <gtest/gtest.h>

#include "runtime/control_fake.h"

namespace tutti::runtime::control {
namespace {

Inquiry inquiry_of_rank_0() {
  return {.origin = 0,
          .sequence = 57,
          .operation = "all_reduce(float32, 1024, sum)",
          .waiting_for = 3,
          .timeout_ms = 2000,
          .silence_ms = 5000};
}

Answer answer(int rank, std::uint64_t entered, std::uint64_t finished,
              std::int64_t silent_ms = -1) {
  return {0, 1, rank, entered, finished, silent_ms, {}};
}

constexpr const char* kTimedOut =
    "operation 57 (all_reduce(float32, 1024, sum)) timed out after 2000 ms on rank 0 (host host0)";

void expect_verdict(const Inquiry& inquiry, int rank, const std::string& text) {
  const auto status = verdict(inquiry, make_cards(32));
  EXPECT_EQ(status.code(), Code::timed_out);
  EXPECT_EQ(status.failed_rank(), rank);
  EXPECT_EQ(status.message(), text);
}

TEST(ControlVerdict, BlamesARankThatHasNotEntered) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.answers = {answer(2, 56, 56)};
  expect_verdict(inquiry, 2,
                 std::string(kTimedOut) +
                     ": rank 2 (host host2, pid 4702) has not entered it and is between operations "
                     "56 and 57. Look at what that rank does on host host2 (its output, or a "
                     "debugger on pid 4702); if it may take that long, raise TUTTI_TIMEOUT_MS.");
}

TEST(ControlVerdict, BlamesARankThatNeverEnteredAnything) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.answers = {answer(2, 0, 0)};
  const auto status = verdict(inquiry, make_cards(4));
  EXPECT_NE(status.message().find("has not entered it and is before the first operation"),
            std::string::npos)
      << status.message();
}

TEST(ControlVerdict, BlamesASilentRankBeforeItsVictims) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.answers = {answer(1, 56, 55), answer(4, 56, 56), answer(2, 56, 55, 12'300)};
  expect_verdict(
      inquiry, 2,
      std::string(kTimedOut) +
          ": rank 2 (host host2, pid 4702) has sent no heartbeat for 12.3 s and was last known in "
          "operation 56; also late: ranks 4, 1. The process is stopped, swapped out, or its host "
          "is cut off: look at its state on host host2 (ps -o stat,wchan -p 4702) and at the "
          "network to that host.");
}

TEST(ControlVerdict, BlamesARankWithoutEchoBeforeOnesHeldUp) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.answers = {answer(1, 56, 55), answer(2, 57, 56, 700)};
  expect_verdict(
      inquiry, 2,
      std::string(kTimedOut) +
          ": rank 2 (host host2, pid 4702) does not answer, was last heard of 0.7 s ago, then in "
          "operation 57; also late: rank 1. The process is stopped, swapped out, or its host is "
          "cut off: look at its state on host host2 (ps -o stat,wchan -p 4702) and at the network "
          "to that host.");
}

TEST(ControlVerdict, BlamesARankHeldUpForWantOfABetter) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.answers = {answer(1, 56, 55)};
  const auto status = verdict(inquiry, make_cards(4));
  EXPECT_EQ(status.failed_rank(), 1);
  EXPECT_NE(status.message().find("has not entered it and is still in operation 56"),
            std::string::npos)
      << status.message();
}

TEST(ControlVerdict, BlamesARankThatHasLeft) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.answers = {answer(4, 50, 50), answer(2, 56, 56)};
  inquiry.departures = {{2, 56}, {5, 57}};  // rank 5 has done its part
  expect_verdict(inquiry, 2,
                 std::string(kTimedOut) +
                     ": rank 2 (host host2, pid 4702) has closed its communicator after 56 "
                     "operations; also late: rank 4. All ranks must make the same calls; look for "
                     "a call that this rank skipped.");
}

TEST(ControlVerdict, OfSeveralBlamesTheFarthestBehindThenTheOneWaitedFor) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.answers = {answer(1, 56, 56), answer(3, 56, 56), answer(0, 0, 0)};
  EXPECT_EQ(verdict(inquiry, make_cards(4)).failed_rank(), 3);
  inquiry.answers.push_back(answer(2, 55, 55));
  EXPECT_EQ(verdict(inquiry, make_cards(4)).failed_rank(), 2);
}

TEST(ControlVerdict, NamesAtMostEightOthers) {
  auto inquiry = inquiry_of_rank_0();
  for (int rank = 1; rank < 13; ++rank) inquiry.answers.push_back(answer(rank, 56, 56));
  const auto status = verdict(inquiry, make_cards(16));
  EXPECT_EQ(status.failed_rank(), 3);
  EXPECT_NE(status.message().find("; also late: ranks 1, 2, 4, 5, 6, 7, 8, 9 and 3 more."),
            std::string::npos)
      << status.message();
}

TEST(ControlVerdict, WhenNobodyIsLateBlamesTheConnection) {
  auto inquiry = inquiry_of_rank_0();
  expect_verdict(inquiry, 3,
                 std::string(kTimedOut) +
                     " while it waited for rank 3 (host host3, pid 4703); every rank that could be "
                     "asked has entered it. The data connection between the two is blocked or very "
                     "slow: check the network between hosts host0 and host3, or raise "
                     "TUTTI_TIMEOUT_MS.");
  inquiry.waiting_for = -1;
  expect_verdict(inquiry, -1,
                 std::string(kTimedOut) +
                     "; every rank that could be asked has entered it. The data connections are "
                     "blocked or very slow: check the network, or raise TUTTI_TIMEOUT_MS.");
}

const Call kSum{.sequence = 57, .count = 1024};
const Call kBroadcast{.sequence = 57, .collective = Collective::broadcast, .count = 1024};

Inquiry inquiry_of_answers(int origin, std::vector<Call> calls, std::vector<Answer> answers) {
  auto inquiry = inquiry_of_rank_0();
  inquiry.origin = origin;
  inquiry.calls = std::move(calls);
  inquiry.answers = std::move(answers);
  return inquiry;
}

Answer called(int rank, const Call& call) {
  return {0, 1, rank, call.sequence, call.sequence - 1, -1, call};
}

void expect_difference(const Inquiry& inquiry, int rank, const std::string& text) {
  for (const Status& status : {differ(inquiry, make_cards(5)), verdict(inquiry, make_cards(5))}) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_EQ(status.failed_rank(), rank);
    EXPECT_EQ(status.message(), text + "; every rank must make the same calls in the same order");
  }
}

constexpr const char* kRank3Differs =
    "rank 3 (host host3) called broadcast(float32, 1024, root 0) as operation 57 while rank 0 "
    "(host host0) called all_reduce(float32, 1024, sum)";

TEST(ControlVerdict, NamesTheSameTwoCallsWhoeverAsks) {
  expect_difference(inquiry_of_answers(0, {kSum}, {called(3, kBroadcast)}), 3, kRank3Differs);
  const std::vector<Answer> all = {called(4, kSum), called(0, kSum), called(1, kSum),
                                   called(2, kSum)};
  expect_difference(inquiry_of_answers(3, {kBroadcast}, all), 3, kRank3Differs);
}

// The first difference is the cause of what follows.
TEST(ControlVerdict, NamesTheFirstOfSeveralDifferences) {
  Call before = kSum;
  before.sequence = 56;
  Call maximum = before;
  maximum.op = ReduceOp::max;
  expect_difference(
      inquiry_of_answers(0, {before, kSum}, {called(1, kBroadcast), called(4, maximum)}), 4,
      "rank 4 (host host4) called all_reduce(float32, 1024, max) as operation 56 while rank 0 "
      "(host host0) called all_reduce(float32, 1024, sum)");
}

// Their counts in all are equal, and with them the texts.
TEST(ControlVerdict, TellsThatOnlyTheCountsOfTheRanksDiffer) {
  const Call mine{.sequence = 57,
                  .collective = Collective::all_gather,
                  .uneven = true,
                  .count = 60,
                  .counts_hash = 1};
  Call theirs = mine;
  theirs.counts_hash = 2;
  expect_difference(inquiry_of_answers(0, {mine}, {called(2, theirs)}), 2,
                    "rank 2 (host host2) called all_gather_v(float32, 60 in all) as operation 57 "
                    "while rank 0 (host host0) called all_gather_v(float32, 60 in all) with other "
                    "counts");
}

// A neighbour that got no echo in time tells what it knew; the rank itself knows better.
TEST(ControlVerdict, ARankSpeaksForItselfEvenAfterItsNeighbour) {
  expect_difference(inquiry_of_answers(0, {kSum}, {answer(3, 56, 56, 300), called(3, kBroadcast)}),
                    3, kRank3Differs);
}

TEST(ControlVerdict, ARankThatIsNotThereYetIsNotCompared) {
  const std::vector<Answer> answers = {answer(0, 56, 56), called(1, kSum), answer(2, 56, 55)};
  expect_difference(inquiry_of_answers(3, {kBroadcast}, answers), 3,
                    "rank 3 (host host3) called broadcast(float32, 1024, root 0) as operation 57 "
                    "while rank 1 (host host1) called all_reduce(float32, 1024, sum)");
}

// Answers that no rank of this version gives: a call that was not asked about, one that does not
// differ, the origin's own.
TEST(ControlVerdict, AnswersThatTellOfNoDifferenceAreNotOne) {
  Call later = kBroadcast;
  later.sequence = 90;
  for (const Answer& odd : {called(3, later), called(3, kSum), called(0, kBroadcast)}) {
    const auto inquiry = inquiry_of_answers(0, {kSum}, {odd});
    EXPECT_EQ(verdict(inquiry, make_cards(5)).code(), Code::timed_out);
    EXPECT_EQ(differ(inquiry, make_cards(5)).message(),
              "rank 0 (host host0) and rank 3 (host host3) made different calls some time before "
              "operation 57 of rank 0, all_reduce(float32, 1024, sum); every rank must make the "
              "same calls in the same order");
  }
}

// Blocks of an uneven all-to-all without elements have no message.
TEST(ControlVerdict, WhereNothingElseDiffersTellsThatCountsMay) {
  const Call exchange{
      .sequence = 57, .collective = Collective::all_to_all, .uneven = true, .count = 0};
  auto inquiry = inquiry_of_answers(0, {exchange}, {});
  EXPECT_EQ(differ(inquiry, make_cards(5)).message(),
            "rank 0 (host host0) and rank 3 (host host3) gave different counts in operation 57 "
            "(all_to_all_v(float32)), or different calls before; recv_blocks.counts[3] of rank 0 "
            "must equal send_blocks.counts[0] of rank 3, and the other way round");
  inquiry.operation = "all_to_all_v(float32)";
  EXPECT_EQ(verdict(inquiry, make_cards(5)).message(),
            "operation 57 (all_to_all_v(float32)) timed out after 2000 ms on rank 0 (host host0) "
            "while it waited for rank 3 (host host3, pid 4703); every rank that could be asked has "
            "entered it. The counts that the two gave for each other differ (a block without "
            "elements has no message), or the data connection between the two is blocked or very "
            "slow: check the network between hosts host0 and host3, or raise TUTTI_TIMEOUT_MS.");
  inquiry.operation = "recv(float32, 4) from rank 3";  // after it
  EXPECT_EQ(verdict(inquiry, make_cards(5)).message().find("counts"), std::string_view::npos);
}

TEST(ControlVerdict, TellsOfADeath) {
  const auto status = died(2, 0, "was closed", {57, 56}, make_cards(4));
  EXPECT_EQ(status.code(), Code::peer_failed);
  EXPECT_EQ(status.failed_rank(), 2);
  EXPECT_EQ(status.message(),
            "rank 2 (host host2, pid 4702) died: its control connection to rank 0 (host host0) was "
            "closed while rank 0 was in operation 57. Look at the output of rank 2; if it was "
            "killed, the kernel's log on host host2 (dmesg) tells whether it was for lack of "
            "memory. A program that exits before it destroys its communicator looks the same.");
}

TEST(ControlVerdict, TellsOfGarbage) {
  const auto status = garbled(2, 0, "a control message of unknown kind 77", make_cards(4));
  EXPECT_EQ(status.code(), Code::peer_failed);
  EXPECT_EQ(status.failed_rank(), 2);
  EXPECT_EQ(status.message(),
            "rank 2 (host host2, pid 4702) sent rank 0 (host host0) a control message of unknown "
            "kind 77. Check that all ranks run the same version of Tutti and that nothing else "
            "writes to its sockets.");
}

}  // namespace
}  // namespace tutti::runtime::control
