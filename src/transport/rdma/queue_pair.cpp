#include "transport/rdma/queue_pair.h"

#include <sys/random.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "base/error.h"
#include "base/try.h"
#include "transport/rdma/fault.h"

namespace tutti::transport::rdma {
namespace {

// What perftest asks for too; devices that have less say so by refusing.
constexpr std::uint32_t kInlineWish = 220;
// Times that the peer may be found without a receive posted. Lanes keep within what is posted, so
// this never happens; 7 means for ever and would hide it.
constexpr std::uint8_t kNotReadyRetries = 6;
constexpr std::uint8_t kNotReadyTimer = 12;  // 0.64 ms
constexpr std::uint8_t kHopLimit = 255;

std::uint32_t random_psn() {
  std::uint32_t psn = 0;
  // Without randomness the numbers are merely equal from run to run.
  (void)!::getrandom(&psn, sizeof psn, GRND_NONBLOCK);
  return psn & 0xffffff;
}

}  // namespace

Tuning Tuning::of(const Config& config) {
  return {.traffic_class = static_cast<std::uint8_t>(config.rdma_traffic_class),
          .service_level = static_cast<std::uint8_t>(config.rdma_service_level),
          .timeout = static_cast<std::uint8_t>(config.rdma_timeout),
          .retry_count = static_cast<std::uint8_t>(config.rdma_retry_count)};
}

std::int64_t Tuning::patience_ms() const {
  const double timeout_ms = 4.096e-3 * static_cast<double>(std::uint64_t{1} << timeout);
  return static_cast<std::int64_t>(timeout_ms * (retry_count + 1));
}

QueuePair::QueuePair(Rail& rail, std::uint32_t id, Depth depth)
    : rail_(rail),
      id_(id),
      psn_(random_psn()),
      sends_(static_cast<std::uint64_t>(depth.sends)),
      receives_(depth.receives +
                kReceiveBatch),  // those of a batch that is not yet due are missing
      signal_every_(std::max<std::uint64_t>(1, sends_ / 4)) {}

Result<std::unique_ptr<QueuePair>> QueuePair::create(Rail& rail, std::uint32_t id, Depth depth) {
  std::unique_ptr<QueuePair> made(new QueuePair(rail, id, depth));
  ibv_qp_init_attr attributes{};
  for (const std::uint32_t inline_bytes : {kInlineWish, 0U}) {
    attributes = {};
    attributes.send_cq = rail.cq();
    attributes.recv_cq = rail.cq();
    attributes.qp_type = IBV_QPT_RC;
    attributes.cap = {.max_send_wr = static_cast<std::uint32_t>(depth.sends),
                      .max_recv_wr = static_cast<std::uint32_t>(made->receives_),
                      .max_send_sge = kSendParts,
                      .max_recv_sge = 1,
                      .max_inline_data = inline_bytes};
    made->queue_pair_ = rail.verbs().create_qp(rail.pd(), &attributes);
    if (made->queue_pair_ != nullptr || errno != EINVAL) break;
  }
  if (made->queue_pair_ == nullptr) return set_up_error("create_qp", errno, rail.address());
  made->inline_bytes_ = attributes.cap.max_inline_data;
  return made;
}

QueuePair::~QueuePair() {
  if (queue_pair_ != nullptr) rail_.verbs().destroy_qp(queue_pair_);
}

Status QueuePair::bring_up(const RemoteQueuePair& remote, const Tuning& tuning) {
  ++generation_;
  forgotten_ = false;
  posted_ = signalled_ = retired_ = 0;
  receives_posted_ = receives_due_ = 0;
  if (int number = to_init(); number != 0) {
    return set_up_error("modify_qp to INIT", number, rail_.address());
  }
  if (int number = post_receives(receives_); number != 0) {
    return set_up_error("post_recv", number, rail_.address());
  }
  if (int number = to_ready_to_receive(remote, tuning); number != 0) {
    return set_up_error("modify_qp to RTR", number, rail_.address());
  }
  if (int number = to_ready_to_send(tuning); number != 0) {
    return set_up_error("modify_qp to RTS", number, rail_.address());
  }
  return {};
}

int QueuePair::to_init() {
  ibv_qp_attr reset{};
  reset.qp_state = IBV_QPS_RESET;
  if (int number = rail_.verbs().modify_qp(queue_pair_, &reset, IBV_QP_STATE); number != 0) {
    return number;
  }
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_INIT;
  attributes.port_num = rail_.address().port;
  attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
  return rail_.verbs().modify_qp(
      queue_pair_, &attributes,
      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

int QueuePair::to_ready_to_receive(const RemoteQueuePair& remote, const Tuning& tuning) {
  const RailAddress& mine = rail_.address();
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RTR;
  attributes.path_mtu = std::min(mine.mtu, remote.rail.mtu);
  attributes.dest_qp_num = remote.number;
  attributes.rq_psn = psn_of_generation(remote.psn);
  attributes.max_dest_rd_atomic = 1;
  attributes.min_rnr_timer = kNotReadyTimer;
  attributes.ah_attr.port_num = mine.port;
  attributes.ah_attr.sl = tuning.service_level;
  attributes.ah_attr.dlid = remote.rail.lid;
  // Within one InfiniBand subnet the LID is enough; RoCE and other subnets need the global header.
  const bool other_subnet = mine.gid.global.subnet_prefix != remote.rail.gid.global.subnet_prefix;
  attributes.ah_attr.is_global = !mine.infiniband || other_subnet;
  attributes.ah_attr.grh.dgid = remote.rail.gid;
  attributes.ah_attr.grh.sgid_index = mine.gid_index;
  attributes.ah_attr.grh.hop_limit = kHopLimit;
  attributes.ah_attr.grh.traffic_class = tuning.traffic_class;
  return rail_.verbs().modify_qp(queue_pair_, &attributes,
                                 IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
                                     IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
                                     IBV_QP_MIN_RNR_TIMER);
}

int QueuePair::to_ready_to_send(const Tuning& tuning) {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RTS;
  attributes.timeout = tuning.timeout;
  attributes.retry_cnt = tuning.retry_count;
  attributes.rnr_retry = kNotReadyRetries;
  attributes.sq_psn = psn_of_generation(psn_);
  attributes.max_rd_atomic = 1;
  return rail_.verbs().modify_qp(queue_pair_, &attributes,
                                 IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                                     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

void QueuePair::stop() {
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_ERR;
  // A queue pair that cannot even be stopped is of a device that is gone.
  (void)rail_.verbs().modify_qp(queue_pair_, &attributes, IBV_QP_STATE);
}

int QueuePair::post(ibv_send_wr& work, bool signal) {
  assert(has_room());
  signal = signal || posted_ + 1 - signalled_ >= signal_every_;
  work.wr_id = WorkId{.receive = false,
                      .queue_pair = id_,
                      .generation = generation_,
                      .count = static_cast<std::uint32_t>(posted_ + 1)}
                   .encode();
  if (signal) work.send_flags |= IBV_SEND_SIGNALED;
  ibv_send_wr* bad = nullptr;
  if (int number = rail_.verbs().post_send(queue_pair_, &work, &bad); number != 0) return number;
  ++posted_;
  if (signal) signalled_ = posted_;
  return 0;
}

void QueuePair::retire(std::uint32_t count) {
  retired_ += (count - static_cast<std::uint32_t>(retired_)) & 0xffffff;
  assert(retired_ <= posted_);
}

int QueuePair::repost_receive() {
  --receives_posted_;
  if (++receives_due_ < kReceiveBatch) return 0;
  receives_due_ = 0;
  return post_receives(kReceiveBatch);
}

int QueuePair::post_receives(int count) {
  const std::uint64_t id =
      WorkId{.receive = true, .queue_pair = id_, .generation = generation_, .count = 0}.encode();
  for (int left = count; left > 0;) {
    const int now = std::min(left, kReceiveBatch);
    for (int i = 0; i < now; ++i) {
      const auto at = static_cast<std::size_t>(i);
      receive_chain_[at] = {};
      receive_chain_[at].wr_id = id;
      if (i + 1 < now) receive_chain_[at].next = &receive_chain_[at + 1];
    }
    ibv_recv_wr* bad = nullptr;
    const int number = rail_.verbs().post_recv(queue_pair_, receive_chain_.data(), &bad);
    // Those before the bad one are posted, and will come back.
    receives_posted_ += number == 0 ? now : static_cast<int>(bad - receive_chain_.data());
    if (number != 0) return number;
    left -= now;
  }
  return 0;
}

}  // namespace tutti::transport::rdma
