#include <algorithm>
#include <cstring>

#include "transport/rdma/fake_objects.h"

namespace tutti::transport::rdma {
namespace {

constexpr std::size_t kMessageMax = std::size_t{1} << 31;  // InfiniBand's

std::byte* pointer(std::uint64_t address) {
  return reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(address));
}

std::size_t mtu_bytes(ibv_mtu mtu) {
  return std::size_t{128} << static_cast<int>(mtu);
}

std::uint32_t packets(const FakeSend& send, ibv_mtu mtu) {
  const std::size_t size = mtu_bytes(mtu);
  return static_cast<std::uint32_t>(std::max<std::size_t>(1, (send.bytes + size - 1) / size));
}

// Whether `key` covers the range and grants `access`.
bool may_access(FakeFabric::State& fabric, std::uint32_t key, bool remote, const ibv_pd* pd,
                std::uint64_t address, std::size_t bytes, int access) {
  const auto found = fabric.keys.find(key);
  if (found == fabric.keys.end()) return false;
  const FakeMr& mr = *found->second;
  if ((remote ? mr.rkey : mr.lkey) != key || mr.pd != pd) return false;
  const auto begin = reinterpret_cast<std::uintptr_t>(mr.addr);
  if (address < begin || bytes > mr.length || address - begin > mr.length - bytes) return false;
  return (mr.access & access) == access;
}

bool may_read(FakeFabric::State& fabric, const FakeQp& qp, const FakeSend& send) {
  return std::all_of(send.sges.begin(), send.sges.end(), [&](const ibv_sge& sge) {
    return may_access(fabric, sge.lkey, false, qp.pd, sge.addr, sge.length, 0);
  });
}

// The message's bytes, in order.
template <typename Take>
void for_each_piece(const FakeSend& send, Take take) {
  if (!send.inlined.empty()) take(send.inlined.data(), send.inlined.size());
  for (const ibv_sge& sge : send.sges) take(pointer(sge.addr), std::size_t{sge.length});
}

void write_to(const FakeSend& send, std::byte* target) {
  for_each_piece(send, [&](const std::byte* piece, std::size_t bytes) {
    std::memcpy(target, piece, bytes);
    target += bytes;
  });
}

bool takes_receive(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_RDMA_WRITE_WITH_IMM || opcode == IBV_WR_SEND ||
         opcode == IBV_WR_SEND_WITH_IMM;
}

bool has_immediate(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_RDMA_WRITE_WITH_IMM || opcode == IBV_WR_SEND_WITH_IMM;
}

bool is_write(ibv_wr_opcode opcode) {
  return opcode == IBV_WR_RDMA_WRITE || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

const FakeGid* find_gid(const FakePort& port, const ibv_gid& gid, std::uint32_t type) {
  for (const FakeGid& entry : port.gids) {
    if (entry.type == type && std::memcmp(entry.gid.raw, gid.raw, sizeof gid.raw) == 0) {
      return &entry;
    }
  }
  return nullptr;
}

// Whether packets of `qp` arrive at that port.
bool reaches(const FakeQp& qp, const FakePort& port) {
  if (port.state != IBV_PORT_ACTIVE || port.link_layer != qp.port().link_layer) return false;
  const ibv_ah_attr& path = qp.attr.ah_attr;
  if (path.is_global == 0) return port.lid == path.dlid;
  for (const FakeGid& own : qp.port().gids) {
    if (own.index == path.grh.sgid_index) {
      return find_gid(port, path.grh.dgid, own.type) != nullptr;
    }
  }
  return false;
}

// What became of an attempt to place a message at its peer.
struct Outcome {
  enum class Kind { delivered, wait, failed } kind = Kind::delivered;
  ibv_wc_status status = IBV_WC_SUCCESS;
};
constexpr Outcome kWait{Outcome::Kind::wait, IBV_WC_SUCCESS};
constexpr Outcome failed(ibv_wc_status status) {
  return {Outcome::Kind::failed, status};
}

// The peer found fault with the message: its end is lost too.
Outcome refused(FakeFabric::State& fabric, FakeQp& peer, ibv_wc_status status) {
  fabric.enter_error(peer);
  ibv_async_event event{};
  event.event_type =
      status == IBV_WC_REM_ACCESS_ERR ? IBV_EVENT_QP_ACCESS_ERR : IBV_EVENT_QP_REQ_ERR;
  event.element.qp = &peer;
  FakeFabric::State::raise(peer.fake_pd().fake_context(), event);
  return failed(status);
}

bool scatter(FakeFabric::State& fabric, const FakeQp& peer, const FakeReceive& receive,
             const FakeSend& send) {
  std::vector<std::byte> message(send.bytes);
  write_to(send, message.data());
  std::size_t at = 0;
  for (const ibv_sge& sge : receive.sges) {
    const std::size_t bytes = std::min<std::size_t>(sge.length, message.size() - at);
    if (bytes > 0 &&
        !may_access(fabric, sge.lkey, false, peer.pd, sge.addr, bytes, IBV_ACCESS_LOCAL_WRITE)) {
      return false;
    }
    if (bytes > 0) std::memcpy(pointer(sge.addr), message.data() + at, bytes);
    at += bytes;
  }
  return at == message.size();
}

Outcome place(FakeFabric::State& fabric, FakeQp& peer, const FakeSend& send) {
  const ibv_send_wr& work = send.work;
  if (is_write(work.opcode) && send.bytes > 0) {
    const bool allowed = (peer.attr.qp_access_flags & IBV_ACCESS_REMOTE_WRITE) != 0 &&
                         may_access(fabric, work.wr.rdma.rkey, true, peer.pd,
                                    work.wr.rdma.remote_addr, send.bytes, IBV_ACCESS_REMOTE_WRITE);
    if (!allowed) return refused(fabric, peer, IBV_WC_REM_ACCESS_ERR);
    write_to(send, pointer(work.wr.rdma.remote_addr));
  }
  if (!takes_receive(work.opcode)) return {};

  const FakeReceive receive = std::move(peer.receives.front());
  peer.receives.pop_front();
  ibv_wc wc{};
  wc.wr_id = receive.wr_id;
  wc.opcode = is_write(work.opcode) ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV;
  wc.byte_len = static_cast<std::uint32_t>(send.bytes);
  wc.src_qp = peer.attr.dest_qp_num;
  if (has_immediate(work.opcode)) {
    wc.wc_flags = IBV_WC_WITH_IMM;
    wc.imm_data = work.imm_data;
  }
  if (!is_write(work.opcode) && !scatter(fabric, peer, receive, send)) {
    wc.status = IBV_WC_LOC_LEN_ERR;
    fabric.add_completion(peer, true, receive.place, wc);
    return refused(fabric, peer, IBV_WC_REM_INV_REQ_ERR);
  }
  fabric.add_completion(peer, true, receive.place, wc);
  return {};
}

Outcome transmit(FakeFabric::State& fabric, FakeQp& qp, const FakeSend& send) {
  if (send.bytes > kMessageMax) return failed(IBV_WC_LOC_LEN_ERR);
  if (!may_read(fabric, qp, send)) return failed(IBV_WC_LOC_PROT_ERR);
  if (qp.port().state != IBV_PORT_ACTIVE) return failed(IBV_WC_RETRY_EXC_ERR);

  FakeQp* peer = find_peer(fabric, qp);
  if (peer == nullptr) return failed(IBV_WC_RETRY_EXC_ERR);
  const ibv_qp_state state = peer->attr.qp_state;
  // The peer is being connected: retransmission carries the message over that moment.
  if (state == IBV_QPS_RESET || state == IBV_QPS_INIT) return kWait;
  if (state != IBV_QPS_RTR && state != IBV_QPS_RTS) return failed(IBV_WC_RETRY_EXC_ERR);

  const bool connected = peer->attr.dest_qp_num == qp.qp_num && find_peer(fabric, *peer) == &qp;
  const bool in_sequence = peer->expected_psn == qp.next_psn;
  const bool fits = peer->attr.path_mtu == qp.attr.path_mtu ||
                    send.bytes <= mtu_bytes(std::min(peer->attr.path_mtu, qp.attr.path_mtu));
  if (!connected || !in_sequence || !fits) return failed(IBV_WC_RETRY_EXC_ERR);
  if (takes_receive(send.work.opcode) && peer->receives.empty()) {
    return qp.attr.rnr_retry == 7 ? kWait : failed(IBV_WC_RNR_RETRY_EXC_ERR);
  }

  const Outcome outcome = place(fabric, *peer, send);
  if (outcome.kind == Outcome::Kind::delivered) {
    const std::uint32_t count = packets(send, qp.attr.path_mtu);
    qp.next_psn = (qp.next_psn + count) & 0xffffff;
    peer->expected_psn = (peer->expected_psn + count) & 0xffffff;
    FakeTraffic& sent = qp.device().traffic;
    ++sent.messages_sent;
    sent.packets_sent += count;
    sent.bytes_sent += send.bytes;
    if ((send.work.send_flags & IBV_SEND_INLINE) != 0) ++sent.inlined;
    if (send.sges.size() > 1) ++sent.gathered;
    FakeTraffic& received = peer->device().traffic;
    ++received.messages_received;
    received.bytes_received += send.bytes;
  }
  return outcome;
}

ibv_wc success_of(const FakeSend& send) {
  ibv_wc wc{};
  wc.wr_id = send.work.wr_id;
  wc.opcode = is_write(send.work.opcode) ? IBV_WC_RDMA_WRITE : IBV_WC_SEND;
  wc.byte_len = static_cast<std::uint32_t>(send.bytes);
  return wc;
}

// Of a failed completion only four fields mean anything; the others mislead on purpose.
ibv_wc error_of(std::uint64_t wr_id, ibv_wc_status status, std::uint32_t vendor_error) {
  ibv_wc wc{};
  wc.wr_id = wr_id;
  wc.status = status;
  wc.vendor_err = vendor_error;
  wc.opcode = IBV_WC_TM_RECV;
  wc.byte_len = 0xdeadbeef;
  wc.imm_data = 0xdeadbeef;
  wc.wc_flags = IBV_WC_WITH_IMM;
  return wc;
}

// Attempts the oldest message; true when it left the queue.
bool deliver_oldest(FakeFabric::State& fabric, FakeQp& qp) {
  FakeDevice& device = qp.device();
  if (device.releasable == 0) return false;
  if (device.next_status != IBV_WC_SUCCESS) {
    const ibv_wc_status status = std::exchange(device.next_status, IBV_WC_SUCCESS);
    fabric.fail_oldest(qp, status, device.next_vendor_error);
    return true;
  }
  const Outcome outcome = transmit(fabric, qp, qp.sends.front());
  if (outcome.kind == Outcome::Kind::wait) return false;
  if (device.releasable > 0) --device.releasable;
  if (outcome.kind == Outcome::Kind::failed) {
    fabric.fail_oldest(qp, outcome.status, 0x81);
    return true;
  }
  FakeSend sent = std::move(qp.sends.front());
  qp.sends.pop_front();
  if (qp.sends.empty()) fabric.pending.erase(qp.serial);
  if (device.losing_acks > 0) {
    qp.unanswered.push_back(std::move(sent));
    if (--device.losing_acks == 0) fabric.lose_answers(device);
  } else if (qp.signal_all || (sent.work.send_flags & IBV_SEND_SIGNALED) != 0) {
    fabric.add_completion(qp, false, sent.place, success_of(sent));
  }
  return true;
}

}  // namespace

FakeQp* find_peer(FakeFabric::State& fabric, const FakeQp& qp) {
  for (const auto& [host, devices] : fabric.hosts) {
    for (const auto& device : devices) {
      const auto found = device->qps.find(qp.attr.dest_qp_num);
      if (found == device->qps.end() || found->second->attr.port_num == 0) continue;
      if (reaches(qp, found->second->port())) return found->second;
    }
  }
  return nullptr;
}

void FakeFabric::State::add_completion(FakeQp& qp, bool of_receive, std::uint64_t place,
                                       const ibv_wc& wc) {
  FakeCq& cq = *static_cast<FakeCq*>(of_receive ? qp.recv_cq : qp.send_cq);
  if (cq.completions.size() >= static_cast<std::size_t>(cq.cqe)) {
    ++overflows;
    ibv_async_event event{};
    event.event_type = IBV_EVENT_CQ_ERR;
    event.element.cq = &cq;
    if (!cq.overflowed) raise(*static_cast<FakeContext*>(cq.context), event);
    cq.overflowed = true;
    return;
  }
  cq.completions.push_back({wc, &qp, of_receive, place});
  cq.completions.back().wc.qp_num = qp.qp_num;
  if (!cq.armed || cq.channel == nullptr) return;
  cq.armed = false;
  FakeChannel& channel = *static_cast<FakeChannel*>(cq.channel);
  channel.events.push_back(&cq);
  const std::uint64_t one = 1;
  if (::write(channel.fd, &one, sizeof one) != sizeof one) std::abort();
}

void FakeFabric::State::enter_error(FakeQp& qp) {
  qp.attr.qp_state = IBV_QPS_ERR;
  pending.erase(qp.serial);
  for (auto* queue : {&qp.unanswered, &qp.sends}) {
    for (const FakeSend& send : *queue) {
      add_completion(qp, false, send.place, error_of(send.work.wr_id, IBV_WC_WR_FLUSH_ERR, 0xf9));
    }
    queue->clear();
  }
  for (const FakeReceive& receive : qp.receives) {
    add_completion(qp, true, receive.place, error_of(receive.wr_id, IBV_WC_WR_FLUSH_ERR, 0xf9));
  }
  qp.receives.clear();
}

void FakeFabric::State::fail_oldest(FakeQp& qp, ibv_wc_status status, std::uint32_t vendor_error) {
  // Work completes in order: one that still waits for its answer is the oldest.
  auto& queue = qp.unanswered.empty() ? qp.sends : qp.unanswered;
  const FakeSend failed_send = std::move(queue.front());
  queue.pop_front();
  add_completion(qp, false, failed_send.place,
                 error_of(failed_send.work.wr_id, status, vendor_error));
  enter_error(qp);
}

void FakeFabric::State::lose_answers(FakeDevice& device) {
  device.losing_acks = 0;
  for (auto& [key, qp] : qps) {
    if (qp->unanswered.empty()) continue;
    const FakeQp* peer = find_peer(*this, *qp);
    if (&qp->device() == &device || peer == nullptr || &peer->device() == &device) {
      fail_oldest(*qp, IBV_WC_RETRY_EXC_ERR, 0x81);
    }
  }
}

// One message of the next queue pair after `after`, in turn; false when nothing can move.
bool FakeFabric::State::deliver_one(std::uint64_t& after) {
  std::vector<FakeQp*> turn;
  for (auto at = pending.upper_bound(after); at != pending.end(); ++at) turn.push_back(at->second);
  for (auto at = pending.begin(); at != pending.upper_bound(after); ++at) {
    turn.push_back(at->second);
  }
  for (FakeQp* qp : turn) {
    after = qp->serial;
    if (deliver_oldest(*this, *qp)) return true;
  }
  return false;
}

void FakeFabric::State::pump() {
  if (nic.joinable()) {
    kicked = true;
    work.notify_one();
    return;
  }
  std::uint64_t after = 0;
  while (deliver_one(after)) {
  }
}

void FakeFabric::State::serve() {
  std::uint64_t after = 0;
  std::unique_lock lock(mutex);
  while (true) {
    work.wait(lock, [this] { return kicked || stopping; });
    if (stopping) return;
    kicked = false;
    while (deliver_one(after)) {
      lock.unlock();  // lets others post and poll between two messages
      lock.lock();
    }
  }
}

}  // namespace tutti::transport::rdma
