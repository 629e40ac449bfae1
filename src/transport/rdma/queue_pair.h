// A reliable connected queue pair: set-up, and the accounting of its work requests.
//
// Sends are signalled only now and then: the completion of one retires all before it, since a queue
// pair completes in order (InfiniBand Architecture Specification 1.4, 10.8.5). Receives carry no
// buffer: they only take the immediate of a write, and are posted again in batches. Every bring-up
// is a new generation; completions of earlier ones are told apart by their id. One thread at a
// time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "transport/rdma/rail.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

// How a queue pair addresses the one at the other end.
struct RemoteQueuePair {
  RailAddress rail;
  std::uint32_t number = 0;
  std::uint32_t psn = 0;            // packet sequence number that its first packet has
  std::uint64_t slots_address = 0;  // of the memory that it lets us write
  std::uint32_t slots_key = 0;
};

// Pieces of memory that one send may gather: a borrowed message and its tag.
inline constexpr std::size_t kSendParts = 2;

// What of Config concerns a queue pair.
struct Tuning {
  std::uint8_t traffic_class = 0;
  std::uint8_t service_level = 0;
  std::uint8_t timeout = 18;     // 4.096 us x 2^timeout until a packet is sent again
  std::uint8_t retry_count = 6;  // times that it is sent again

  static Tuning of(const Config& config);
  // How long the device tries before it gives up: (retry_count + 1) timeouts.
  std::int64_t patience_ms() const;
};

// The id of a work request: what its completion tells.
struct WorkId {
  bool receive = false;
  std::uint32_t queue_pair = 0;  // of the poller's table; 31 bits
  std::uint8_t generation = 0;
  std::uint32_t count = 0;  // sends that are over when this one is (mod 2^24)

  std::uint64_t encode() const {
    return static_cast<std::uint64_t>(receive) << 63 |
           static_cast<std::uint64_t>(queue_pair) << 32 |
           static_cast<std::uint64_t>(generation) << 24 | (count & 0xffffff);
  }
  static WorkId decode(std::uint64_t id) {
    return {.receive = (id >> 63) != 0,
            .queue_pair = static_cast<std::uint32_t>(id >> 32) & 0x7fffffff,
            .generation = static_cast<std::uint8_t>(id >> 24),
            .count = static_cast<std::uint32_t>(id & 0xffffff)};
  }
};

class QueuePair {
 public:
  struct Depth {
    int sends = 0;
    int receives = 0;
  };

  static constexpr int kReceiveBatch = 16;  // receives posted at once

  // `id` is the poller's name for it. Fails with words about limits and permissions.
  static Result<std::unique_ptr<QueuePair>> create(Rail& rail, std::uint32_t id, Depth depth);
  QueuePair(const QueuePair&) = delete;
  QueuePair& operator=(const QueuePair&) = delete;
  ~QueuePair();

  Rail& rail() const { return rail_; }
  std::uint32_t id() const { return id_; }
  std::uint32_t number() const { return queue_pair_->qp_num; }
  std::uint32_t psn() const { return psn_; }
  std::uint8_t generation() const { return generation_; }
  std::uint32_t inline_bytes() const { return inline_bytes_; }

  // From any state to ready: a new generation with all receives posted and nothing sent.
  Status bring_up(const RemoteQueuePair& remote, const Tuning& tuning);
  // Nothing leaves or arrives any more, and what is posted completes as flushed.
  void stop();
  // Completions that are still to come count no more: others were told that none do.
  void forget() { forgotten_ = true; }

  // ---- Hot

  bool has_room() const { return posted_ - retired_ < sends_; }
  // Posts one send; sets its id and whether it is signalled. 0 or an errno. REQUIRES: has_room().
  int post(ibv_send_wr& work, bool signal);
  // Sends since bring_up(), and how many of them are known to be over.
  std::uint64_t posted() const { return posted_; }
  std::uint64_t retired() const { return retired_; }
  void retire(std::uint32_t count);
  // True when sends are posted whose end no completion will tell.
  bool owes_signal() const { return posted_ != signalled_; }
  // Whether a completion of that generation is news.
  bool heeds(std::uint8_t generation) const { return generation == generation_ && !forgotten_; }

  // A receive completed: posts new ones when a batch is due. 0 or an errno.
  int repost_receive();
  void receive_flushed() { --receives_posted_; }
  // Receives that have not completed: none once a stopped queue pair is drained.
  int receives_posted() const { return receives_posted_; }

 private:
  QueuePair(Rail& rail, std::uint32_t id, Depth depth);
  int to_init();
  int to_ready_to_receive(const RemoteQueuePair& remote, const Tuning& tuning);
  int to_ready_to_send(const Tuning& tuning);
  int post_receives(int count);
  std::uint32_t psn_of_generation(std::uint32_t psn) const {
    // Packets of an earlier generation that are still in the network are out of sequence.
    return (psn + generation_ * 0x10000U) & 0xffffff;
  }

  Rail& rail_;
  const std::uint32_t id_;
  ibv_qp* queue_pair_ = nullptr;
  std::uint32_t psn_ = 0;
  std::uint32_t inline_bytes_ = 0;
  std::uint8_t generation_ = 0;
  bool forgotten_ = false;
  std::uint64_t sends_;
  const int receives_;
  const std::uint64_t signal_every_;
  std::uint64_t posted_ = 0;
  std::uint64_t signalled_ = 0;  // posted_ after the last signalled one
  std::uint64_t retired_ = 0;
  int receives_posted_ = 0;
  int receives_due_ = 0;
  std::array<ibv_recv_wr, kReceiveBatch> receive_chain_{};
};

}  // namespace tutti::transport::rdma
