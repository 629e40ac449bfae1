// One queue pair by itself: its bring-up, what it posts, and its accounting.
#include "transport/rdma/queue_pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "transport/rdma/link_pair.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr QueuePair::Depth kDepth{.sends = 16, .receives = 8};

// A queue pair on each of two hosts, by hand: no link stands on them.
class QueuePairs : public testing::Test {
 protected:
  QueuePairs() {
    for (const std::size_t i : {0U, 1U}) {
      verbs_[i] = fabric_.verbs(i == 0 ? "left" : "right");
      auto rails = open_rails(*verbs_[i], Config());
      EXPECT_TRUE(rails.ok()) << rails.status().message();
      rails_[i] = std::move(rails->rails);
    }
  }
  std::unique_ptr<QueuePair> create(std::size_t host) {
    auto made = QueuePair::create(*rails_[host][0], static_cast<std::uint32_t>(host), kDepth);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return *std::move(made);
  }
  static RemoteQueuePair remote_of(const QueuePair& pair) {
    return {.rail = pair.rail().address(), .number = pair.number(), .psn = pair.psn()};
  }
  // An empty write with an immediate.
  static int post(QueuePair& pair, bool signal = false) {
    ibv_send_wr work{};
    work.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
    work.send_flags = IBV_SEND_INLINE;
    return pair.post(work, signal);
  }
  std::vector<ibv_wc> completions(std::size_t host) {
    std::array<ibv_wc, 64> found{};
    const int count = verbs_[host]->poll_cq(rails_[host][0]->cq(), 64, found.data());
    EXPECT_GE(count, 0);
    return {found.begin(), found.begin() + count};
  }

  FakeFabric fabric_;
  std::array<std::unique_ptr<FakeVerbs>, 2> verbs_;
  std::array<std::vector<std::unique_ptr<Rail>>, 2> rails_;
};

TEST(Tuning, PatienceIsEveryTryOfTheDevice) {
  EXPECT_EQ(Tuning::of(config_with_timeout(12)).patience_ms(), 134);
  EXPECT_EQ(Tuning::of(Config()).patience_ms(), 7516);
  EXPECT_EQ(Tuning::of(config_with_timeout(31)).patience_ms(), 70'368'744);
}

TEST_F(QueuePairs, SignalsAQuarterOfItsSendsOnly) {
  auto left = create(0);
  auto right = create(1);
  ASSERT_TRUE(left->bring_up(remote_of(*right), {}).ok());
  ASSERT_TRUE(right->bring_up(remote_of(*left), {}).ok());
  for (int i = 0; i < 7; ++i) ASSERT_EQ(post(*left), 0);
  EXPECT_TRUE(left->owes_signal());
  auto found = completions(0);
  ASSERT_EQ(found.size(), 1U) << "of the fourth";
  left->retire(WorkId::decode(found[0].wr_id).count);
  EXPECT_EQ(left->retired(), 4U);
  ASSERT_EQ(post(*left, true), 0);
  EXPECT_FALSE(left->owes_signal());
  found = completions(0);
  ASSERT_EQ(found.size(), 1U);
  left->retire(WorkId::decode(found[0].wr_id).count);
  EXPECT_EQ(left->retired(), left->posted());
}

TEST_F(QueuePairs, NeverPostsMoreThanTheDeviceTakes) {
  auto left = create(0);
  auto right = create(1);
  ASSERT_TRUE(left->bring_up(remote_of(*right), {}).ok());
  ASSERT_TRUE(right->bring_up(remote_of(*left), {}).ok());
  fabric_.hold("left");
  int posted = 0;
  for (; left->has_room(); ++posted) ASSERT_EQ(post(*left), 0) << posted;
  EXPECT_EQ(posted, kDepth.sends);
  fabric_.release();
  for (const ibv_wc& wc : completions(0)) left->retire(WorkId::decode(wc.wr_id).count);
  EXPECT_TRUE(left->has_room());
}

// A completion that repeats what is known changes nothing.
TEST_F(QueuePairs, RetiringTwiceIsRetiringOnce) {
  auto left = create(0);
  auto right = create(1);
  ASSERT_TRUE(left->bring_up(remote_of(*right), {}).ok());
  ASSERT_TRUE(right->bring_up(remote_of(*left), {}).ok());
  ASSERT_EQ(post(*left, true), 0);
  left->retire(1);
  left->retire(1);
  EXPECT_EQ(left->retired(), 1U);
}

TEST_F(QueuePairs, EveryBringUpIsANewGenerationAndOldCompletionsAreNoNews) {
  auto left = create(0);
  auto right = create(1);
  for (std::uint8_t generation = 1; generation <= 3; ++generation) {
    ASSERT_TRUE(left->bring_up(remote_of(*right), {}).ok());
    ASSERT_TRUE(right->bring_up(remote_of(*left), {}).ok());
    EXPECT_EQ(left->generation(), generation);
    EXPECT_TRUE(left->heeds(generation));
    EXPECT_FALSE(left->heeds(static_cast<std::uint8_t>(generation - 1)));
    ASSERT_EQ(post(*left, true), 0) << "packets are in sequence in every generation";
    const auto found = completions(0);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].status, IBV_WC_SUCCESS);
    EXPECT_EQ(WorkId::decode(found[0].wr_id).generation, generation);
    left->stop();
    left->forget();
    EXPECT_FALSE(left->heeds(generation));
  }
}

TEST_F(QueuePairs, AStoppedOneGivesBackAllReceives) {
  auto left = create(0);
  auto right = create(1);
  ASSERT_TRUE(left->bring_up(remote_of(*right), {}).ok());
  const int posted = left->receives_posted();
  EXPECT_GE(posted, kDepth.receives);
  left->stop();
  const auto found = completions(0);
  EXPECT_EQ(found.size(), static_cast<std::size_t>(posted));
  for (std::size_t i = 0; i < found.size(); ++i) left->receive_flushed();
  EXPECT_EQ(left->receives_posted(), 0);
}

// What was posted before the failure comes back, and has to be counted.
TEST_F(QueuePairs, ReceivesThatWerePostedInPartAreCounted) {
  auto left = create(0);
  auto right = create(1);
  fabric_.fail("post_recv", 6, ENOMEM);
  const Status status = left->bring_up(remote_of(*right), {});
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("post_recv"), HasSubstr("fake0")));
  EXPECT_EQ(left->receives_posted(), 5);
  left->stop();
  EXPECT_EQ(completions(0).size(), 5U);
}

TEST_F(QueuePairs, EveryStepOfTheBringUpIsNamedWhenItFails) {
  auto left = create(0);
  auto right = create(1);
  const std::array<const char*, 4> kSteps = {"modify_qp to INIT", "modify_qp to INIT",
                                             "modify_qp to RTR", "modify_qp to RTS"};
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    fabric_.fail("modify_qp", static_cast<int>(i) + 1, EINVAL);
    const Status status = left->bring_up(remote_of(*right), {});
    EXPECT_EQ(status.code(), Code::unavailable);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(kSteps[i]), HasSubstr("fake0")));
  }
  EXPECT_TRUE(left->bring_up(remote_of(*right), {}).ok()) << "from any state";
}

TEST_F(QueuePairs, ADeviceWithoutInlineSendsIsUsedAllTheSame) {
  fabric_.fail("create_qp", 1, EINVAL);
  const auto pair = create(0);
  EXPECT_EQ(pair->inline_bytes(), 0U);
}

TEST_F(QueuePairs, OneThatCannotBeMadeIsToldInWords) {
  fabric_.fail("create_qp", 1, ENOMEM);
  const auto made = QueuePair::create(*rails_[0][0], 0, kDepth);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), Code::unavailable);
  EXPECT_THAT(std::string(made.status().message()),
              AllOf(HasSubstr("create_qp"), HasSubstr("fake0 port 1")));
}

}  // namespace
}  // namespace tutti::transport::rdma
