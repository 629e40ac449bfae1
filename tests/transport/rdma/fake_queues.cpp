// The queue pairs of FakeVerbs: their states, and work on its way in and out.
#include <cerrno>

#include "transport/rdma/fake_objects.h"

namespace tutti::transport::rdma {
namespace {

// What a change of state must set and may set, for a reliable connected queue pair.
struct Transition {
  ibv_qp_state from;
  ibv_qp_state to;
  int required;
  int optional;
};

constexpr Transition kTransitions[] = {
    {IBV_QPS_RESET, IBV_QPS_INIT, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS, 0},
    {IBV_QPS_INIT, IBV_QPS_INIT, 0, IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS},
    {IBV_QPS_INIT, IBV_QPS_RTR,
     IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
         IBV_QP_MIN_RNR_TIMER,
     IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX},
    {IBV_QPS_RTR, IBV_QPS_RTS,
     IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC,
     IBV_QP_CUR_STATE | IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | IBV_QP_MIN_RNR_TIMER |
         IBV_QP_PATH_MIG_STATE},
    {IBV_QPS_RTS, IBV_QPS_RTS, 0,
     IBV_QP_CUR_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_MIN_RNR_TIMER | IBV_QP_ALT_PATH |
         IBV_QP_PATH_MIG_STATE},
};

bool allowed(ibv_qp_state from, ibv_qp_state to, int mask) {
  if (to == IBV_QPS_RESET || to == IBV_QPS_ERR) return (mask & ~IBV_QP_STATE) == 0;
  for (const Transition& transition : kTransitions) {
    if (transition.from != from || transition.to != to) continue;
    const int known = transition.required | transition.optional | IBV_QP_STATE;
    return (mask & transition.required) == transition.required && (mask & ~known) == 0;
  }
  return false;
}

bool sensible_path(const FakeQp& qp, const ibv_qp_attr& to) {
  const FakePort& port = qp.port();
  if (to.path_mtu < IBV_MTU_256 || to.path_mtu > port.mtu) return false;
  if (to.ah_attr.is_global == 0) {
    return port.link_layer == IBV_LINK_LAYER_INFINIBAND && to.ah_attr.dlid != 0;
  }
  for (const FakeGid& gid : port.gids) {
    if (gid.index == to.ah_attr.grh.sgid_index) return true;
  }
  return false;
}

// The values that a driver refuses.
bool sensible(const FakeQp& qp, const ibv_qp_attr& to, int mask) {
  if ((mask & IBV_QP_PORT) != 0 &&
      (to.port_num == 0 || to.port_num > qp.device().config.ports.size())) {
    return false;
  }
  if ((mask & IBV_QP_AV) != 0 && !sensible_path(qp, to)) return false;
  if ((mask & IBV_QP_TIMEOUT) != 0 && to.timeout > 31) return false;
  if ((mask & IBV_QP_RETRY_CNT) != 0 && to.retry_cnt > 7) return false;
  return (mask & IBV_QP_RNR_RETRY) == 0 || to.rnr_retry <= 7;
}

void assign(FakeQp& qp, const ibv_qp_attr& to, int mask) {
  ibv_qp_attr& attr = qp.attr;
  if (mask & IBV_QP_PORT) attr.port_num = to.port_num;
  if (mask & IBV_QP_ACCESS_FLAGS) attr.qp_access_flags = to.qp_access_flags;
  if (mask & IBV_QP_AV) attr.ah_attr = to.ah_attr;
  if (mask & IBV_QP_PATH_MTU) attr.path_mtu = to.path_mtu;
  if (mask & IBV_QP_DEST_QPN) attr.dest_qp_num = to.dest_qp_num;
  if (mask & IBV_QP_RNR_RETRY) attr.rnr_retry = to.rnr_retry;
  if (mask & IBV_QP_RQ_PSN) qp.expected_psn = to.rq_psn & 0xffffff;
  if (mask & IBV_QP_SQ_PSN) qp.next_psn = to.sq_psn & 0xffffff;
}

bool sensible_limits(const FakeDeviceConfig& device, const ibv_qp_cap& cap) {
  const auto depth = static_cast<std::uint32_t>(device.max_qp_wr);
  const auto pieces = static_cast<std::uint32_t>(device.max_sge);
  return cap.max_send_wr <= depth && cap.max_recv_wr <= depth && cap.max_send_sge <= pieces &&
         cap.max_recv_sge <= pieces && cap.max_inline_data <= device.max_inline;
}

// 0, or the errno with which hardware's driver refuses the work.
int queue_send(FakeFabric::State& fabric, FakeQp& qp, const ibv_send_wr& work) {
  const ibv_qp_state state = qp.attr.qp_state;
  if (state != IBV_QPS_RTS && state != IBV_QPS_ERR) return EINVAL;
  if (qp.sends_posted - qp.sends_freed >= qp.limits.max_send_wr) return ENOMEM;
  if (work.num_sge < 0 || static_cast<std::uint32_t>(work.num_sge) > qp.limits.max_send_sge) {
    return EINVAL;
  }
  if (work.opcode > IBV_WR_SEND_WITH_IMM) return EINVAL;
  FakeSend send;
  send.work = work;
  send.sges.assign(work.sg_list, work.sg_list + work.num_sge);
  for (const ibv_sge& sge : send.sges) send.bytes += sge.length;
  if ((work.send_flags & IBV_SEND_INLINE) != 0) {
    if (send.bytes > qp.limits.max_inline_data) return EINVAL;
    for (const ibv_sge& sge : send.sges) {
      const auto* from = reinterpret_cast<const std::byte*>(sge.addr);
      send.inlined.insert(send.inlined.end(), from, from + sge.length);
    }
    send.sges.clear();
  }
  send.place = qp.sends_posted++;
  qp.sends.push_back(std::move(send));
  if (state == IBV_QPS_ERR) {
    fabric.enter_error(qp);
  } else {
    fabric.pending[qp.serial] = &qp;
  }
  return 0;
}

int queue_receive(FakeFabric::State& fabric, FakeQp& qp, const ibv_recv_wr& work) {
  if (qp.attr.qp_state == IBV_QPS_RESET) return EINVAL;
  if (qp.receives_posted - qp.receives_freed >= qp.limits.max_recv_wr) return ENOMEM;
  if (work.num_sge < 0 || static_cast<std::uint32_t>(work.num_sge) > qp.limits.max_recv_sge) {
    return EINVAL;
  }
  FakeReceive receive;
  receive.wr_id = work.wr_id;
  receive.sges.assign(work.sg_list, work.sg_list + work.num_sge);
  receive.place = qp.receives_posted++;
  qp.receives.push_back(std::move(receive));
  if (qp.attr.qp_state == IBV_QPS_ERR) fabric.enter_error(qp);
  return 0;
}

}  // namespace

void FakeFabric::State::clear(FakeQp& qp) {
  pending.erase(qp.serial);
  qp.sends.clear();
  qp.unanswered.clear();
  qp.receives.clear();
  for (ibv_cq* cq : {qp.send_cq, qp.recv_cq}) {
    std::erase_if(static_cast<FakeCq*>(cq)->completions,
                  [&](const FakeCompletion& completion) { return completion.qp == &qp; });
  }
  qp.sends_freed = qp.sends_posted;
  qp.receives_freed = qp.receives_posted;
}

ibv_qp* FakeVerbs::create_qp(ibv_pd* pd, ibv_qp_init_attr* attributes) {
  const std::lock_guard lock(fabric_.mutex);
  auto refuse = [](int number) {
    errno = number;
    return nullptr;
  };
  if (const int number = fabric_.injected("create_qp", host_)) return refuse(number);
  auto qp = std::make_unique<FakeQp>();
  qp->context = pd->context;
  qp->pd = pd;
  FakeDevice& device = qp->device();
  if (attributes->qp_type != IBV_QPT_RC || attributes->send_cq == nullptr ||
      attributes->recv_cq == nullptr || !sensible_limits(device.config, attributes->cap)) {
    return refuse(EINVAL);
  }
  qp->send_cq = attributes->send_cq;
  qp->recv_cq = attributes->recv_cq;
  qp->qp_context = attributes->qp_context;
  qp->qp_type = IBV_QPT_RC;
  qp->qp_num = device.next_qp_number++;
  qp->state = IBV_QPS_RESET;
  qp->attr.qp_state = IBV_QPS_RESET;
  qp->limits = attributes->cap;
  qp->signal_all = attributes->sq_sig_all != 0;
  qp->serial = ++fabric_.next_serial;
  device.qps[qp->qp_num] = qp.get();
  ++static_cast<FakeCq*>(qp->send_cq)->users;
  ++static_cast<FakeCq*>(qp->recv_cq)->users;
  ++qp->fake_pd().children;
  FakeQp* created = qp.get();
  fabric_.qps.emplace(static_cast<ibv_qp*>(created), std::move(qp));
  return created;
}

int FakeVerbs::modify_qp(ibv_qp* qp, ibv_qp_attr* attributes, int mask) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("modify_qp", host_)) return number;
  auto& changed = *static_cast<FakeQp*>(qp);
  const ibv_qp_state from = changed.attr.qp_state;
  const ibv_qp_state to = (mask & IBV_QP_STATE) != 0 ? attributes->qp_state : from;
  if (!allowed(from, to, mask) || !sensible(changed, *attributes, mask)) return EINVAL;
  assign(changed, *attributes, mask);
  changed.attr.qp_state = to;
  changed.state = to;
  if (to == IBV_QPS_RESET) fabric_.clear(changed);
  if (to == IBV_QPS_ERR) fabric_.enter_error(changed);
  fabric_.pump();
  return 0;
}

int FakeVerbs::destroy_qp(ibv_qp* qp) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("destroy_qp", host_)) return number;
  auto& destroyed = *static_cast<FakeQp*>(qp);
  fabric_.clear(destroyed);
  destroyed.device().qps.erase(destroyed.qp_num);
  --static_cast<FakeCq*>(qp->send_cq)->users;
  --static_cast<FakeCq*>(qp->recv_cq)->users;
  --destroyed.fake_pd().children;
  fabric_.qps.erase(qp);
  fabric_.pump();
  return 0;
}

int FakeVerbs::poll_cq(ibv_cq* cq, int max_entries, ibv_wc* completions) {
  const std::lock_guard lock(fabric_.mutex);
  if (fabric_.injected("poll_cq", host_) != 0) return -1;
  auto& polled = *static_cast<FakeCq*>(cq);
  int count = 0;
  while (count < max_entries && !polled.completions.empty()) {
    const FakeCompletion completion = polled.completions.front();
    polled.completions.pop_front();
    completions[count++] = completion.wc;
    // A completion frees its place and those of the unsignalled work before it.
    FakeQp& qp = *completion.qp;
    (completion.of_receive ? qp.receives_freed : qp.sends_freed) = completion.place + 1;
  }
  return count == 0 && polled.overflowed ? -1 : count;
}

int FakeVerbs::req_notify_cq(ibv_cq* cq) {
  const std::lock_guard lock(fabric_.mutex);
  if (const int number = fabric_.injected("req_notify_cq", host_)) return number;
  static_cast<FakeCq*>(cq)->armed = true;
  return 0;
}

int FakeVerbs::post_send(ibv_qp* qp, ibv_send_wr* work, ibv_send_wr** bad) {
  const std::lock_guard lock(fabric_.mutex);
  int number = 0;
  for (ibv_send_wr* next = work; next != nullptr && number == 0; next = next->next) {
    number = fabric_.injected("post_send", host_);
    if (number == 0) number = queue_send(fabric_, *static_cast<FakeQp*>(qp), *next);
    if (number != 0) *bad = next;
  }
  fabric_.pump();
  return number;
}

int FakeVerbs::post_recv(ibv_qp* qp, ibv_recv_wr* work, ibv_recv_wr** bad) {
  const std::lock_guard lock(fabric_.mutex);
  int number = 0;
  for (ibv_recv_wr* next = work; next != nullptr && number == 0; next = next->next) {
    number = fabric_.injected("post_recv", host_);
    if (number == 0) number = queue_receive(fabric_, *static_cast<FakeQp*>(qp), *next);
    if (number != 0) *bad = next;
  }
  fabric_.pump();
  return number;
}

}  // namespace tutti::transport::rdma
