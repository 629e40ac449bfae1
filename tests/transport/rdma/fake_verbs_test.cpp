#include "transport/rdma/fake_verbs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "transport/rdma/fake_end.h"

namespace tutti::transport::rdma {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<ibv_wc_status> statuses(const std::vector<ibv_wc>& completions) {
  std::vector<ibv_wc_status> result;
  for (const ibv_wc& completion : completions) result.push_back(completion.status);
  return result;
}

struct Pair {
  explicit Pair(FakeEnd::Shape shape = {}, std::uint8_t rnr_retry = 7)
      : a(fabric, "n1", shape), b(fabric, "n2", shape) {
    connect(a, b, rnr_retry);
  }
  FakeFabric fabric;
  FakeEnd a;
  FakeEnd b;
};

TEST(FakeVerbs, ShowsTwoRoceRailsUnlessToldOtherwise) {
  FakeFabric fabric;
  const auto verbs = fabric.verbs("n1");
  int count = 0;
  ibv_device** list = verbs->get_device_list(&count);
  ASSERT_EQ(count, 2);
  EXPECT_STREQ(verbs->get_device_name(list[1]), "fake1");
  ibv_context* context = verbs->open_device(list[0]);
  verbs->free_device_list(list);
  ibv_port_attr port{};
  EXPECT_EQ(verbs->query_port(context, 1, &port), 0);
  EXPECT_EQ(port.link_layer, IBV_LINK_LAYER_ETHERNET);
  EXPECT_EQ(verbs->query_port(context, 2, &port), EINVAL);
  std::array<ibv_gid_entry, 8> gids{};
  EXPECT_EQ(verbs->query_gid_table(context, gids.data(), gids.size()), 4);
  EXPECT_EQ(gids[3].gid_type, static_cast<std::uint32_t>(IBV_GID_TYPE_ROCE_V2));
  EXPECT_EQ(std::memcmp(gids[3].gid.raw, ipv4_gid("10.0.0.1").raw, 16), 0);
  EXPECT_EQ(verbs->close_device(context), 0);
  EXPECT_EQ(fabric.counts().objects(), 0);
}

TEST(FakeVerbs, WriteWithImmediateTakesAReceiveAndCompletesBothEnds) {
  Pair pair;
  pair.a.put(0, "hello");
  ASSERT_EQ(pair.b.receive(7), 0);
  ASSERT_EQ(pair.a.write(pair.b, {.id = 5,
                                  .bytes = 6,
                                  .to = 100,
                                  .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
                                  .immediate = 0xabcd}),
            0);
  const auto sent = pair.a.poll();
  const auto received = pair.b.poll();
  ASSERT_THAT(statuses(sent), ElementsAre(IBV_WC_SUCCESS));
  EXPECT_EQ(sent[0].wr_id, 5u);
  EXPECT_EQ(sent[0].opcode, IBV_WC_RDMA_WRITE);
  ASSERT_THAT(statuses(received), ElementsAre(IBV_WC_SUCCESS));
  EXPECT_EQ(received[0].wr_id, 7u);
  EXPECT_EQ(received[0].opcode, IBV_WC_RECV_RDMA_WITH_IMM);
  EXPECT_EQ(received[0].byte_len, 6u);
  EXPECT_EQ(received[0].imm_data, 0xabcdu);
  EXPECT_EQ(received[0].wc_flags, static_cast<unsigned>(IBV_WC_WITH_IMM));
  EXPECT_EQ(pair.b.text(100), "hello");
  EXPECT_EQ(pair.fabric.traffic("n1", "fake0").bytes_sent, 6u);
  EXPECT_EQ(pair.fabric.traffic("n2", "fake0").bytes_received, 6u);
}

TEST(FakeVerbs, SendScattersIntoTheReceive) {
  Pair pair;
  pair.a.put(0, "hello");
  ASSERT_EQ(pair.b.receive(1, {pair.b.piece(10, 2), pair.b.piece(20, 10)}), 0);
  ASSERT_EQ(pair.a.write(pair.b, {.bytes = 6, .opcode = IBV_WR_SEND}), 0);
  EXPECT_EQ(pair.b.text(10), "he");
  EXPECT_EQ(pair.b.text(20), "llo");

  ASSERT_EQ(pair.b.receive(2, {pair.b.piece(0, 2)}), 0);
  ASSERT_EQ(pair.a.write(pair.b, {.bytes = 6, .opcode = IBV_WR_SEND}), 0);
  EXPECT_THAT(statuses(pair.a.poll()), ElementsAre(IBV_WC_SUCCESS, IBV_WC_REM_INV_REQ_ERR));
  EXPECT_THAT(statuses(pair.b.poll()), ElementsAre(IBV_WC_SUCCESS, IBV_WC_LOC_LEN_ERR));
}

TEST(FakeVerbs, StatesNeedTheirAttributes) {
  FakeFabric fabric;
  FakeEnd a(fabric, "n1");
  FakeEnd b(fabric, "n2");
  EXPECT_EQ(a.to_ready_to_send(1), EINVAL);
  EXPECT_EQ(a.receive(1), EINVAL);
  ASSERT_EQ(a.to_init(), 0);
  EXPECT_EQ(a.write(b, {}), EINVAL);
  EXPECT_EQ(a.to_ready_to_receive(b, 1, FakeEnd::kReadyToReceive & ~IBV_QP_RQ_PSN), EINVAL);
  EXPECT_EQ(a.to_ready_to_receive(b, 1, FakeEnd::kReadyToReceive | IBV_QP_SQ_PSN), EINVAL);
  EXPECT_EQ(a.to_ready_to_receive(b, 1), 0);
  EXPECT_EQ(a.modify(IBV_QPS_ERR, {}, 0), 0);
  EXPECT_EQ(a.to_init(), EINVAL) << "only from RESET";
  EXPECT_EQ(a.to_reset(), 0);
  EXPECT_EQ(a.to_init(), 0);
}

TEST(FakeVerbs, WaitsForAPeerThatIsBeingConnected) {
  FakeFabric fabric;
  FakeEnd a(fabric, "n1");
  FakeEnd b(fabric, "n2");
  ASSERT_EQ(a.to_init(), 0);
  ASSERT_EQ(b.to_init(), 0);
  ASSERT_EQ(a.to_ready_to_receive(b, 1), 0);
  ASSERT_EQ(a.to_ready_to_send(2), 0);
  ASSERT_EQ(a.write(b, {}), 0);
  EXPECT_THAT(a.poll(), IsEmpty());
  ASSERT_EQ(b.to_ready_to_receive(a, 2), 0);
  EXPECT_THAT(statuses(a.poll()), ElementsAre(IBV_WC_SUCCESS));
}

TEST(FakeVerbs, PacketsOutOfSequenceVanish) {
  Pair pair;
  ASSERT_EQ(pair.a.write(pair.b, {}), 0);  // psn 100 -> 101
  ASSERT_THAT(statuses(pair.a.poll()), ElementsAre(IBV_WC_SUCCESS));
  // Only one end starts anew.
  ASSERT_EQ(pair.a.to_reset(), 0);
  ASSERT_EQ(pair.a.to_init(), 0);
  ASSERT_EQ(pair.a.to_ready_to_receive(pair.b, 200), 0);
  ASSERT_EQ(pair.a.receive(9), 0);
  ASSERT_EQ(pair.a.to_ready_to_send(100), 0);
  ASSERT_EQ(pair.a.write(pair.b, {}), 0);
  const auto completions = pair.a.poll();
  EXPECT_THAT(statuses(completions), ElementsAre(IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR));
  EXPECT_EQ(completions[1].wr_id, 9u) << "receives are flushed too";
  EXPECT_EQ(pair.a.qp->state, IBV_QPS_RTS) << "as the library, which does not ask the device";
}

TEST(FakeVerbs, KeysBoundsAndRightsAreChecked) {
  const auto remote = [](FakeEnd& end, std::size_t at) {
    return reinterpret_cast<std::uint64_t>(end.memory.data() + at);
  };
  const auto outcome = [&](auto act) {
    Pair pair;
    EXPECT_EQ(pair.b.receive(1), 0);
    act(pair);
    const auto mine = statuses(pair.a.poll());
    EXPECT_EQ(statuses(pair.b.poll()).size(), mine.at(0) == IBV_WC_REM_ACCESS_ERR ? 1u : 0u);
    return mine.at(0);
  };
  EXPECT_EQ(outcome([&](Pair& p) {
              ibv_sge wrong = p.a.piece(0, 8);
              wrong.lkey = p.a.mr->rkey;
              EXPECT_EQ(p.a.post({}, wrong, remote(p.b, 0), p.b.mr->rkey), 0);
            }),
            IBV_WC_LOC_PROT_ERR);
  EXPECT_EQ(outcome([&](Pair& p) {
              EXPECT_EQ(p.a.post({}, p.a.piece(4090, 8), remote(p.b, 0), p.b.mr->rkey), 0);
            }),
            IBV_WC_LOC_PROT_ERR);
  EXPECT_EQ(outcome([&](Pair& p) {
              EXPECT_EQ(p.a.post({}, p.a.piece(0, 8), remote(p.b, 4090), p.b.mr->rkey), 0);
            }),
            IBV_WC_REM_ACCESS_ERR);
  EXPECT_EQ(outcome([&](Pair& p) {
              EXPECT_EQ(p.a.post({}, p.a.piece(0, 8), remote(p.b, 0), p.b.mr->lkey), 0);
            }),
            IBV_WC_REM_ACCESS_ERR);
}

TEST(FakeVerbs, InlineWorkIsCopiedWhenPosted) {
  Pair pair;
  pair.fabric.hold();
  pair.a.put(0, "before");
  pair.a.put(32, "before");
  const unsigned inlined = IBV_SEND_SIGNALED | IBV_SEND_INLINE;
  ASSERT_EQ(pair.a.write(pair.b, {.from = 0, .bytes = 7, .to = 0, .flags = inlined}), 0);
  ASSERT_EQ(pair.a.write(pair.b, {.from = 32, .bytes = 7, .to = 32}), 0);
  EXPECT_EQ(pair.a.write(pair.b, {.bytes = 65, .flags = inlined}), EINVAL);
  pair.a.put(0, "after");
  pair.a.put(32, "after");
  pair.fabric.release();
  EXPECT_EQ(pair.b.text(0), "before");
  EXPECT_EQ(pair.b.text(32), "after");
  EXPECT_EQ(pair.fabric.traffic("n1", "fake0").inlined, 1u);
}

TEST(FakeVerbs, UnsignalledWorkFreesItsPlaceWithALaterCompletion) {
  Pair pair({.depth = 4});
  for (int i = 0; i < 3; ++i) ASSERT_EQ(pair.a.write(pair.b, {.flags = 0}), 0);
  ASSERT_EQ(pair.a.write(pair.b, {.id = 3}), 0);
  EXPECT_EQ(pair.a.write(pair.b, {}), ENOMEM);
  EXPECT_THAT(statuses(pair.a.poll()), ElementsAre(IBV_WC_SUCCESS));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(pair.a.write(pair.b, {.flags = 0}), 0);
  EXPECT_THAT(pair.a.poll(), IsEmpty());
  EXPECT_EQ(pair.a.write(pair.b, {}), ENOMEM) << "nothing will ever free these";

  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(pair.a.receive(i), 0);
  EXPECT_EQ(pair.a.receive(4), ENOMEM);
}

TEST(FakeVerbs, NoReceivePostedWaitsOrFails) {
  Pair patient({}, 7);
  ASSERT_EQ(patient.a.write(patient.b, {.opcode = IBV_WR_RDMA_WRITE_WITH_IMM}), 0);
  EXPECT_THAT(patient.a.poll(), IsEmpty());
  ASSERT_EQ(patient.b.receive(1), 0);
  EXPECT_THAT(statuses(patient.a.poll()), ElementsAre(IBV_WC_SUCCESS));

  Pair hasty({}, 0);
  ASSERT_EQ(hasty.a.write(hasty.b, {.opcode = IBV_WR_RDMA_WRITE_WITH_IMM}), 0);
  EXPECT_THAT(statuses(hasty.a.poll()), ElementsAre(IBV_WC_RNR_RETRY_EXC_ERR));
}

TEST(FakeVerbs, AFullCompletionQueueIsLost) {
  Pair pair({.completions = 2});
  for (int i = 0; i < 3; ++i) ASSERT_EQ(pair.a.write(pair.b, {}), 0);
  EXPECT_EQ(pair.fabric.counts().overflows, 1);
  std::array<ibv_wc, 4> completions{};
  EXPECT_EQ(pair.a.verbs->poll_cq(pair.a.cq, 4, completions.data()), 2);
  EXPECT_EQ(pair.a.verbs->poll_cq(pair.a.cq, 4, completions.data()), -1);
  ibv_async_event event{};
  ASSERT_EQ(pair.a.verbs->get_async_event(pair.a.context, &event), 0);
  EXPECT_EQ(event.event_type, IBV_EVENT_CQ_ERR);
}

TEST(FakeVerbs, AnArmedQueueRingsOnce) {
  Pair pair;
  ASSERT_EQ(::fcntl(pair.a.channel->fd, F_SETFL, O_NONBLOCK), 0);
  ibv_cq* ready = nullptr;
  ASSERT_EQ(pair.a.write(pair.b, {}), 0);
  EXPECT_EQ(pair.a.verbs->get_cq_event(pair.a.channel, &ready), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_EQ(pair.a.verbs->req_notify_cq(pair.a.cq), 0);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(pair.a.write(pair.b, {}), 0);
  ASSERT_EQ(pair.a.verbs->get_cq_event(pair.a.channel, &ready), 0);
  EXPECT_EQ(ready, pair.a.cq);
  EXPECT_EQ(pair.a.verbs->get_cq_event(pair.a.channel, &ready), -1);
  pair.a.verbs->ack_cq_events(pair.a.cq, 1);
}

TEST(FakeVerbs, APortThatIsDownEndsMessagesBothWays) {
  Pair pair;
  pair.fabric.set_port("n1", "fake0", false);
  ibv_async_event event{};
  ASSERT_EQ(pair.a.verbs->get_async_event(pair.a.context, &event), 0);
  EXPECT_EQ(event.event_type, IBV_EVENT_PORT_ERR);
  EXPECT_EQ(event.element.port_num, 1);
  ASSERT_EQ(pair.a.write(pair.b, {}), 0);
  ASSERT_EQ(pair.b.write(pair.a, {}), 0);
  EXPECT_THAT(statuses(pair.a.poll()), ElementsAre(IBV_WC_RETRY_EXC_ERR));
  EXPECT_THAT(statuses(pair.b.poll()), ElementsAre(IBV_WC_RETRY_EXC_ERR));
  pair.fabric.set_port("n1", "fake0", true);
  ASSERT_EQ(pair.a.verbs->get_async_event(pair.a.context, &event), 0);
  EXPECT_EQ(event.event_type, IBV_EVENT_PORT_ACTIVE);
  ASSERT_EQ(pair.a.write(pair.b, {.id = 4}), 0) << "posting to a failed queue pair is allowed";
  EXPECT_THAT(statuses(pair.a.poll()), ElementsAre(IBV_WC_WR_FLUSH_ERR));
}

TEST(FakeVerbs, LostAcknowledgementsLeaveTheDataThere) {
  Pair pair;
  pair.fabric.lose_acks("n1", "fake0", 2);
  pair.a.put(0, "first");
  pair.a.put(32, "second");
  ASSERT_EQ(pair.b.receive(1), 0);
  ASSERT_EQ(
      pair.a.write(pair.b, {.id = 1, .bytes = 6, .opcode = IBV_WR_RDMA_WRITE_WITH_IMM, .flags = 0}),
      0);
  EXPECT_THAT(pair.a.poll(), IsEmpty());
  ASSERT_EQ(pair.a.write(pair.b, {.id = 2, .from = 32, .bytes = 7, .to = 32}), 0);
  const auto completions = pair.a.poll();
  EXPECT_THAT(statuses(completions), ElementsAre(IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR));
  EXPECT_EQ(completions[0].wr_id, 1u) << "unsignalled work tells its failure";
  EXPECT_EQ(pair.b.text(0), "first");
  EXPECT_EQ(pair.b.text(32), "second");
  EXPECT_THAT(statuses(pair.b.poll()), ElementsAre(IBV_WC_SUCCESS));
}

TEST(FakeVerbs, HeldMessagesAreUnderWay) {
  Pair pair;
  pair.fabric.hold("n1", "fake0");
  for (std::size_t i = 0; i < 3; ++i) {
    pair.a.put(i * 16, "x");
    ASSERT_EQ(pair.a.write(pair.b, {.id = i, .from = i * 16, .bytes = 2, .to = i * 16}), 0);
  }
  EXPECT_EQ(pair.fabric.in_flight("n1"), 3u);
  pair.fabric.release("n1", "fake0", 1);
  EXPECT_EQ(pair.fabric.in_flight(), 2u);
  EXPECT_EQ(pair.b.text(0), "x");
  EXPECT_EQ(pair.b.text(16), "");
  pair.fabric.set_port("n2", "fake0", false);
  pair.fabric.release();
  EXPECT_THAT(statuses(pair.a.poll()),
              ElementsAre(IBV_WC_SUCCESS, IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR));
}

TEST(FakeVerbs, FailsTheCallsThatItIsTold) {
  Pair pair;
  pair.fabric.fail("post_send", 2, ENOMEM, "n1");
  EXPECT_EQ(pair.a.write(pair.b, {}), 0);
  EXPECT_EQ(pair.b.write(pair.a, {}), 0);
  EXPECT_EQ(pair.a.write(pair.b, {}), ENOMEM);
  EXPECT_EQ(pair.a.write(pair.b, {}), 0);
  EXPECT_EQ(pair.fabric.calls("post_send"), 4);
  EXPECT_EQ(pair.fabric.calls("post_send", "n1"), 3);

  pair.fabric.fail("reg_mr", 0, EPERM);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(pair.a.verbs->reg_mr(pair.a.pd, pair.a.memory.data(), 8, 0), nullptr);
    EXPECT_EQ(errno, EPERM);
  }
  pair.fabric.fail_no_more();
  pair.fabric.fail_completion("n1", "fake0", IBV_WC_LOC_QP_OP_ERR, 0x42);
  EXPECT_EQ(pair.a.write(pair.b, {}), 0);
  const auto completions = pair.a.poll();
  EXPECT_EQ(completions.back().status, IBV_WC_LOC_QP_OP_ERR);
  EXPECT_EQ(completions.back().vendor_err, 0x42u);
}

TEST(FakeVerbs, RegistersOnlyMemoryThatIsThere) {
  Pair pair;
  FakeVerbs& verbs = *pair.a.verbs;
  EXPECT_EQ(verbs.reg_mr(pair.a.pd, nullptr, 4096, 0), nullptr);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(verbs.reg_mr(pair.a.pd, pair.a.memory.data(), 8, IBV_ACCESS_REMOTE_WRITE), nullptr);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(verbs.reg_dmabuf_mr(pair.a.pd, 0, 8, 0, 0, 0), nullptr);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST(FakeVerbs, ObjectsInUseAreBusy) {
  FakeFabric fabric;
  {
    FakeEnd end(fabric, "n1");
    EXPECT_EQ(end.verbs->destroy_cq(end.cq), EBUSY);
    EXPECT_EQ(end.verbs->dealloc_pd(end.pd), EBUSY);
    EXPECT_EQ(end.verbs->destroy_comp_channel(end.channel), EBUSY);
    EXPECT_EQ(end.verbs->close_device(end.context), EBUSY);
    EXPECT_EQ(fabric.counts().objects(), 6);
    EXPECT_EQ(fabric.counts().registered_bytes, 4096u);
  }
  EXPECT_EQ(fabric.counts().objects(), 0);
}

TEST(FakeVerbs, InfiniBandGoesByLid) {
  FakeFabric fabric;
  fabric.verbs("n1", {infiniband_device("ib0", 11)});
  fabric.verbs("n2", {infiniband_device("ib0", 12)});
  FakeEnd a(fabric, "n1");
  FakeEnd b(fabric, "n2");
  connect(a, b);
  a.put(0, "hello");
  ASSERT_EQ(a.write(b, {.bytes = 6}), 0);
  EXPECT_EQ(b.text(0), "hello");
}

// Both ends at once, a message each per turn, delivered by the fabric's thread.
TEST(FakeVerbs, DeliversBetweenThreads) {
  constexpr int kTurns = 500;
  FakeFabric fabric;
  fabric.deliver_by_thread();
  FakeEnd a(fabric, "n1");
  FakeEnd b(fabric, "n2");
  connect(a, b);
  const auto run = [&](FakeEnd& mine, const FakeEnd& peer, bool first) {
    bool my_turn = first;
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      if (my_turn) {
        std::memcpy(mine.memory.data(), &turn, sizeof turn);
        ASSERT_EQ(mine.write(peer, {.bytes = sizeof turn,
                                    .to = 64,
                                    .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
                                    .immediate = turn}),
                  0);
      } else {
        ASSERT_EQ(mine.receive(turn), 0);
      }
      std::vector<ibv_wc> completions;
      while (completions.empty()) {
        std::this_thread::yield();
        completions = mine.poll();
      }
      ASSERT_EQ(completions[0].status, IBV_WC_SUCCESS);
      if (!my_turn) {
        std::uint32_t arrived = 0;
        std::memcpy(&arrived, mine.memory.data() + 64, sizeof arrived);
        ASSERT_EQ(arrived, turn);
      }
      my_turn = !my_turn;
    }
  };
  std::thread other([&] { run(b, a, false); });
  run(a, b, true);
  other.join();
  EXPECT_EQ(fabric.traffic("n1", "fake0").messages_sent, kTurns / 2);
}

}  // namespace
}  // namespace tutti::transport::rdma
