// The datapath of tcp: one non-blocking connection that carries both directions of one lane.
//
// Sending: a window is a buffer of this process, so the executor writes straight into what send()
// takes; commit() sends at once, and what the kernel did not take goes on in flush() and reserve().
// Receiving: recv() reads into the buffer that peek() hands out, together with the header and the
// small messages that follow, so that a message costs one system call or less. Flow control is
// TCP's own: the receiver reads no further than its buffer. Nothing here blocks or allocates.
//
// Used by one thread at a time, send and receive side each. The descriptor outlives both.
#pragma once

#include <atomic>
#include <memory>
#include <new>

#include "transport/port.h"
#include "transport/tcp/frame.h"
#include "transport/transport.h"

namespace tutti::transport {

// What the receiver reads beyond the message it waits for. A header at least, which saves a system
// call per message; more only helps small messages, and what belongs to the next large one is
// moved.
inline constexpr std::size_t kReadAheadBytes = 4096;

// Why one direction of a lane works no more.
enum class Fault : std::uint8_t {
  none,
  system,     // see the errno
  end,        // the stream ended without a close frame
  bad_frame,  // a header that this library never writes
};

struct AlignedDelete {
  void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{64}); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;
// Not filled: pages that are never used cost no memory.
AlignedBytes allocate_aligned(std::size_t bytes);

class TcpRecvPort final : public RecvPort {
 public:
  TcpRecvPort(int fd, const Caps& caps);
  std::span<const std::byte> peek() override;
  std::uint64_t tag() const override { return tag_; }
  void release() override;
  PortState state() const override;

  // True while the last peek() found no message: its owner waits for the descriptor.
  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }
  Fault fault() const { return fault_.load(std::memory_order_acquire); }
  int fault_errno() const { return fault_errno_.load(std::memory_order_relaxed); }

 private:
  bool have_message();
  bool read_more();
  void make_room(std::size_t wanted_bytes);
  bool fail(Fault fault, int number = 0);

  const int fd_;
  const std::size_t slot_bytes_;
  const std::size_t capacity_;
  const AlignedBytes buffer_;
  std::size_t begin_;  // of the frame that is read or handed out
  std::size_t end_;    // of what was read
  std::size_t payload_bytes_ = 0;
  std::uint64_t tag_ = 0;
  std::size_t expected_bytes_ =
      0;  // of the next frame: as the one before, until its header is there
  std::uint64_t sequence_ = 0;
  bool ready_ = false;
  std::atomic<bool> waiting_{false};
  std::atomic<bool> closed_{false};
  std::atomic<Fault> fault_{Fault::none};
  std::atomic<int> fault_errno_{0};
};

class TcpSendPort final : public SendPort {
 public:
  // `receiver` is the other direction of the same connection, which sees how it ended.
  TcpSendPort(int fd, const Caps& caps, const TcpRecvPort& receiver);
  std::span<std::byte> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, std::uint64_t tag) override;
  bool flush() override;
  PortState state() const override;

  // True while committed bytes wait for the kernel to take them.
  bool pending() const { return queued_.load(std::memory_order_relaxed) > 0; }
  Fault fault() const { return fault_.load(std::memory_order_acquire); }
  int fault_errno() const { return fault_errno_.load(std::memory_order_relaxed); }
  // True once when reserve() found no room that there is now: its owner should look again before it
  // sleeps.
  bool take_new_room() {
    if (!refused_ || pending_full() || fault() != Fault::none) return false;
    refused_ = false;
    return true;
  }
  // Of the next frame.
  std::uint64_t sequence() const { return sequence_; }

 private:
  std::byte* payload(std::size_t slot) const { return buffer_.get() + slot * stride_ + kPayloadAt; }
  std::byte* frame(std::size_t slot) const { return payload(slot) - sizeof(FrameHeader); }
  bool pending_full() const { return queued_.load(std::memory_order_relaxed) == slots_; }
  void send_queued();
  void consume(std::size_t bytes);

  static constexpr std::size_t kPayloadAt = 64;  // the header lies in front, payloads are aligned
  static constexpr std::size_t kSlotsMax = 16;   // frames of one sendmsg()

  const int fd_;
  [[maybe_unused]] const std::size_t slot_bytes_;  // of asserts
  const std::size_t slots_;
  const std::size_t stride_;
  const AlignedBytes buffer_;
  const TcpRecvPort& receiver_;
  std::size_t first_ = 0;               // oldest queued slot
  std::size_t first_sent_bytes_ = 0;    // of its frame
  bool refused_ = false;                // the last reserve() found no room
  std::atomic<std::size_t> queued_{0};  // committed slots that are not wholly sent
  std::uint64_t sequence_ = 0;
  std::atomic<Fault> fault_{Fault::none};
  std::atomic<int> fault_errno_{0};
};

}  // namespace tutti::transport
