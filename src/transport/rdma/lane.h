// The datapath of rdma: the two ports of one lane of one link.
//
// Sending: a window is a slot of registered memory; commit() posts one RDMA write of it, or of the
// caller's own registered memory, into the same slot at the peer, with an immediate that says so.
// The message's tag follows its bytes in that write. Up to the queue pair's inline size the device
// gets both with the work request. A slot is free again when the peer has released its own, which
// the immediates of the other direction tell; so what was committed can be written again, over
// another queue pair, until the peer has taken it.
// Receiving: an immediate says which slot was written and how long the message is. Credits go back
// with the next message, or in a write of their own once half of the slots are owed.
//
// A lane uses one queue pair at a time, its path, which the link may change. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "transport/port.h"
#include "transport/rdma/immediate.h"
#include "transport/rdma/poller.h"
#include "transport/rdma/queue_pair.h"
#include "transport/transport.h"

namespace tutti::transport::rdma {

// A queue pair, with what a lane needs to post on it.
struct Path {
  QueuePair* pair = nullptr;
  std::uint32_t local_key = 0;  // of the link's own slots, on the pair's rail
  RemoteQueuePair remote;
  std::size_t rail_index = 0;  // in Poller::rails()
};

// What a link is to its lanes.
class LaneOwner {
 public:
  virtual ~LaneOwner() = default;
  virtual PortState state() const = 0;
  // A post failed with this errno: the path is to be mended.
  virtual void post_failed(const Path& path, int number) = 0;
};

inline constexpr std::size_t kTagBytes = sizeof(std::uint64_t);

// One lane's slots and where the peer's lie.
struct LaneMemory {
  Caps caps;
  std::byte* send_slots = nullptr;
  const std::byte* recv_slots = nullptr;
  std::uint64_t remote_offset = 0;  // of the lane's slots in what the peer lets us write

  // A slot holds a message and its tag.
  std::size_t stride() const { return (caps.slot_bytes + kTagBytes + 63) / 64 * 64; }
};

class LaneReceiver;

class LaneSender final : public SendPort {
 public:
  LaneSender(LaneOwner& owner, Poller& poller, int lane, const LaneMemory& memory,
             LaneReceiver& receiver);

  std::span<std::byte> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, std::uint64_t tag) override;
  bool send_from(std::span<const std::byte> bytes, const Registration& memory,
                 std::uint64_t tag) override;
  bool flush() override;
  PortState state() const override { return owner_.state(); }

  // ---- For the link

  // Null while the lane has no path: what is committed waits.
  const Path* path() const { return path_; }
  void set_path(const Path* path) { path_ = path; }
  // Posts what waits, messages first. True when nothing waits any more.
  bool pump();
  // The peer has released messages: the low bits of their count.
  void credit(std::uint8_t released);
  // Over a path that is gone the peer got `received` messages and released so many of them; the
  // rest is to be posted again. False when that cannot be: the counts are impossible, or memory
  // that the rest was borrowed from is the caller's again.
  [[nodiscard]] bool resume(std::uint64_t received, std::uint64_t released);
  std::uint64_t sent() const { return sent_; }
  // Everything that was sent was taken: the lane may change its path without disorder.
  bool idle() const { return sent_ == released_ && !credit_due_; }
  void owe_credit() { credit_due_ = true; }

 private:
  // Where a message lies until the peer has taken it.
  struct Message {
    const std::byte* data = nullptr;
    std::uint32_t bytes = 0;
    const Registration* memory = nullptr;  // null: the lane's own slot
    std::uint64_t posted_as = 0;           // QueuePair::posted() after it was posted
  };

  bool full() const { return sent_ - released_ == static_cast<std::uint64_t>(memory_.caps.slots); }
  std::size_t slot_of(std::uint64_t number) const {
    return static_cast<std::size_t>(number % static_cast<std::uint64_t>(memory_.caps.slots));
  }
  // Of the next message.
  std::byte* slot() const { return memory_.send_slots + slot_of(sent_) * memory_.stride(); }
  void add(const Message& message);
  bool post_message(std::uint64_t number);
  int gather(std::uint64_t number, std::array<ibv_sge, kSendParts>& parts) const;
  bool post_credit();
  bool post(ibv_send_wr& work, Immediate immediate, bool signal);
  bool borrowed_bytes_are_read();

  LaneOwner& owner_;
  Poller& poller_;
  const std::uint8_t lane_;
  const LaneMemory memory_;
  LaneReceiver& receiver_;
  const Path* path_ = nullptr;
  std::vector<Message> messages_;  // by slot
  std::uint64_t sent_ = 0;         // committed
  std::uint64_t posted_ = 0;       // handed to the device
  std::uint64_t released_ = 0;     // by the peer
  std::uint64_t delivered_ = 0;    // known to be in the peer's memory, by resume()
  std::uint64_t borrowed_ = 0;     // number of the last message from the caller's memory, plus 1
  std::uint64_t returned_ = 0;     // borrowed_ when flush() was last true
  bool credit_due_ = false;
};

class LaneReceiver final : public RecvPort {
 public:
  LaneReceiver(LaneOwner& owner, Poller& poller, const LaneMemory& memory);

  std::span<const std::byte> peek() override;
  std::uint64_t tag() const override;
  void release() override;
  PortState state() const override;

  // ---- For the link

  void set_sender(LaneSender& sender) { sender_ = &sender; }
  // `bytes` were written. False for a message that cannot be: out of turn, without a tag, too long,
  // without a credit.
  bool arrived(std::uint16_t number, std::uint32_t bytes);
  // The peer closed after this many messages.
  void close_after(std::uint64_t sent) { closes_after_ = sent; }
  std::uint64_t received() const { return received_; }
  // Messages that the peer sent before it closed and that have not come.
  std::uint64_t missing() const {
    return closes_after_ > received_ ? closes_after_ - received_ : 0;
  }
  std::uint64_t released() const { return released_; }
  // All was taken that came, and the peer does not know it.
  bool owes_the_rest() const { return received_ == released_ && announced_ != released_; }
  // The count that goes with the next write; the peer then knows it.
  std::uint8_t announce() {
    announced_ = released_;
    return static_cast<std::uint8_t>(released_);
  }

 private:
  std::size_t next_slot() const {
    return static_cast<std::size_t>(released_ % static_cast<std::uint64_t>(memory_.caps.slots));
  }
  const std::byte* next_message() const {
    return memory_.recv_slots + next_slot() * memory_.stride();
  }

  LaneOwner& owner_;
  Poller& poller_;
  const LaneMemory memory_;
  LaneSender* sender_ = nullptr;
  const std::uint64_t announce_every_;
  std::vector<std::uint32_t> bytes_;  // of the messages, by slot
  std::uint64_t received_ = 0;
  std::uint64_t released_ = 0;
  std::uint64_t announced_ = 0;
  std::uint64_t closes_after_ = ~std::uint64_t{0};
};

}  // namespace tutti::transport::rdma
