// One end of a connection over the fake fabric, made with bare verbs: what a test of the fabric
// itself, or of memory on it, needs. One thread at a time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "transport/rdma/fake_verbs.h"

namespace tutti::transport::rdma {

class FakeEnd {
 public:
  struct Shape {
    std::size_t device = 0;
    int completions = 64;
    std::uint32_t depth = 8;
    std::uint32_t inline_bytes = 64;
  };

  FakeEnd(FakeFabric& fabric, const std::string& host) : FakeEnd(fabric, host, Shape{}) {}
  FakeEnd(FakeFabric& fabric, const std::string& host, Shape shape)
      : verbs(fabric.verbs(host)), memory(4096) {
    int count = 0;
    ibv_device** list = verbs->get_device_list(&count);
    context = verbs->open_device(list[shape.device]);
    verbs->free_device_list(list);
    pd = verbs->alloc_pd(context);
    channel = verbs->create_comp_channel(context);
    cq = verbs->create_cq(context, shape.completions, channel);
    mr = verbs->reg_mr(pd, memory.data(), memory.size(),
                       IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    ibv_qp_init_attr wanted{};
    wanted.send_cq = cq;
    wanted.recv_cq = cq;
    wanted.cap = {shape.depth, shape.depth, 2, 2, shape.inline_bytes};
    wanted.qp_type = IBV_QPT_RC;
    qp = verbs->create_qp(pd, &wanted);
    ibv_port_attr port{};
    verbs->query_port(context, 1, &port);
    ethernet = port.link_layer == IBV_LINK_LAYER_ETHERNET;
    lid = port.lid;
  }
  FakeEnd(const FakeEnd&) = delete;
  FakeEnd& operator=(const FakeEnd&) = delete;
  ~FakeEnd() {
    EXPECT_EQ(verbs->destroy_qp(qp), 0);
    EXPECT_EQ(verbs->dereg_mr(mr), 0);
    EXPECT_EQ(verbs->destroy_cq(cq), 0);
    EXPECT_EQ(verbs->destroy_comp_channel(channel), 0);
    EXPECT_EQ(verbs->dealloc_pd(pd), 0);
    EXPECT_EQ(verbs->close_device(context), 0);
  }

  // The RoCE v2 GID with the IPv4 address.
  ibv_gid gid() {
    std::array<ibv_gid_entry, 16> table{};
    EXPECT_EQ(verbs->query_gid_table(context, table.data(), table.size()), 4);
    return table[3].gid;
  }

  int to_reset() { return modify(IBV_QPS_RESET, {}, 0); }
  int to_init() {
    ibv_qp_attr to{};
    to.port_num = 1;
    to.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    return modify(IBV_QPS_INIT, to, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
  }
  static constexpr int kReadyToReceive = IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
                                         IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
                                         IBV_QP_MIN_RNR_TIMER;
  int to_ready_to_receive(FakeEnd& peer, std::uint32_t psn, int mask = kReadyToReceive) {
    ibv_qp_attr to{};
    to.path_mtu = IBV_MTU_1024;
    to.dest_qp_num = peer.qp->qp_num;
    to.rq_psn = psn;
    to.max_dest_rd_atomic = 1;
    to.ah_attr.port_num = 1;
    to.ah_attr.is_global = ethernet ? 1 : 0;
    to.ah_attr.dlid = peer.lid;
    if (ethernet) to.ah_attr.grh = {peer.gid(), 0, 3, 64, 0};
    return modify(IBV_QPS_RTR, to, mask);
  }
  int to_ready_to_send(std::uint32_t psn, std::uint8_t rnr_retry = 7) {
    ibv_qp_attr to{};
    to.sq_psn = psn;
    to.timeout = 14;
    to.retry_cnt = 7;
    to.rnr_retry = rnr_retry;
    to.max_rd_atomic = 1;
    return modify(IBV_QPS_RTS, to,
                  IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                      IBV_QP_MAX_QP_RD_ATOMIC);
  }
  int modify(ibv_qp_state state, ibv_qp_attr to, int mask) {
    to.qp_state = state;
    return verbs->modify_qp(qp, &to, mask | IBV_QP_STATE);
  }

  int receive(std::uint64_t id, std::vector<ibv_sge> pieces = {}) {
    ibv_recv_wr work{};
    work.wr_id = id;
    work.sg_list = pieces.data();
    work.num_sge = static_cast<int>(pieces.size());
    ibv_recv_wr* bad = nullptr;
    return verbs->post_recv(qp, &work, &bad);
  }
  ibv_sge piece(std::size_t offset, std::uint32_t bytes) const {
    return {reinterpret_cast<std::uint64_t>(memory.data() + offset), bytes, mr->lkey};
  }

  struct Write {
    std::uint64_t id = 0;
    std::size_t from = 0;
    std::uint32_t bytes = 8;
    std::size_t to = 0;
    ibv_wr_opcode opcode = IBV_WR_RDMA_WRITE;
    std::uint32_t immediate = 0;
    unsigned flags = IBV_SEND_SIGNALED;
  };
  // Writes into the peer's memory; 0 or an errno.
  int write(const FakeEnd& peer, const Write& what) {
    ibv_sge from = piece(what.from, what.bytes);
    return post(what, from, reinterpret_cast<std::uint64_t>(peer.memory.data() + what.to),
                peer.mr->rkey);
  }
  int post(const Write& what, ibv_sge from, std::uint64_t remote_address, std::uint32_t rkey) {
    ibv_send_wr work{};
    work.wr_id = what.id;
    work.sg_list = &from;
    work.num_sge = 1;
    work.opcode = what.opcode;
    work.send_flags = what.flags;
    work.imm_data = what.immediate;
    work.wr.rdma.remote_addr = remote_address;
    work.wr.rdma.rkey = rkey;
    ibv_send_wr* bad = nullptr;
    return verbs->post_send(qp, &work, &bad);
  }
  std::vector<ibv_wc> poll() {
    std::array<ibv_wc, 64> completions{};
    const int count = verbs->poll_cq(cq, 64, completions.data());
    EXPECT_GE(count, 0) << "the completion queue overflowed";
    return {completions.begin(), completions.begin() + std::max(count, 0)};
  }
  void put(std::size_t offset, const char* text) {
    std::memcpy(memory.data() + offset, text, std::strlen(text) + 1);
  }
  std::string text(std::size_t offset) const {
    return reinterpret_cast<const char*>(memory.data() + offset);
  }

  std::unique_ptr<FakeVerbs> verbs;
  std::vector<std::byte> memory;
  ibv_context* context = nullptr;
  ibv_pd* pd = nullptr;
  ibv_comp_channel* channel = nullptr;
  ibv_cq* cq = nullptr;
  ibv_mr* mr = nullptr;
  ibv_qp* qp = nullptr;
  bool ethernet = true;
  std::uint16_t lid = 0;
};

// Both ends ready to send.
inline void connect(FakeEnd& a, FakeEnd& b, std::uint8_t rnr_retry = 7) {
  EXPECT_EQ(a.to_init(), 0);
  EXPECT_EQ(b.to_init(), 0);
  EXPECT_EQ(a.to_ready_to_receive(b, 200), 0);
  EXPECT_EQ(b.to_ready_to_receive(a, 100), 0);
  EXPECT_EQ(a.to_ready_to_send(100, rnr_retry), 0);
  EXPECT_EQ(b.to_ready_to_send(200, rnr_retry), 0);
}

}  // namespace tutti::transport::rdma
