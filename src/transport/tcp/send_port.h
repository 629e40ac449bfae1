// The sending direction of one non-blocking connection.
//
// A message is written into a window of this port, or lies in the caller's memory; commit() and
// send_from() send at once, and what the kernel did not take goes on in flush() and reserve().
// Nothing here blocks or allocates. Used by one thread at a time. The descriptor outlives it.
#pragma once

#include <array>
#include <atomic>

#include "transport/port.h"
#include "transport/tcp/buffer.h"
#include "transport/tcp/fault.h"
#include "transport/tcp/frame.h"
#include "transport/transport.h"

struct iovec;

namespace tutti::transport {

class TcpSendPort final : public SendPort {
 public:
  // `receiver` is the other direction of the same connection, which sees how it ended.
  TcpSendPort(int fd, const Caps& caps, const RecvPort& receiver);
  std::span<std::byte> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, std::uint64_t tag) override;
  // Any memory will do: the kernel copies.
  bool send_from(std::span<const std::byte> bytes, const Registration& memory,
                 std::uint64_t tag) override;
  bool flush() override;
  PortState state() const override;

  // True while bytes that were sent wait for the kernel to take them.
  bool pending() const { return queued_.load(std::memory_order_relaxed) > 0; }
  Fault fault() const { return fault_.load(std::memory_order_acquire); }
  int fault_errno() const { return fault_errno_.load(std::memory_order_relaxed); }
  // True once when reserve() or send_from() found no room that there is now: its owner should look
  // again before it sleeps.
  bool take_new_room() {
    if (!refused_ || full() || fault() != Fault::none) return false;
    refused_ = false;
    return true;
  }
  // Of the next frame.
  std::uint64_t sequence() const { return sequence_; }

 private:
  // The header lies in front of the payload, which is aligned.
  static constexpr std::size_t kPayloadAt = kBufferAlignment;
  static constexpr std::size_t kSlotsMax = 16;             // frames of one sendmsg()
  static constexpr std::size_t kPartsMax = 3 * kSlotsMax;  // a lent frame is in three pieces

  std::byte* payload(std::size_t slot) const { return buffer_.get() + slot * stride_ + kPayloadAt; }
  std::byte* header(std::size_t slot) const { return payload(slot) - sizeof(FrameHeader); }
  bool full() const { return queued_.load(std::memory_order_relaxed) == slots_; }
  // Makes room for a frame if there is none. False, and remembered, when there still is none.
  bool have_room();
  std::size_t next_slot() const;
  // `lent`: the payload, or null where it lies in the slot.
  void enqueue(std::size_t bytes, const std::byte* lent, std::uint64_t tag);
  void send_queued();
  std::size_t gather(std::array<iovec, kPartsMax>& parts) const;
  void consume(std::size_t bytes);

  struct Frame {
    std::size_t payload_bytes = 0;
    const std::byte* lent = nullptr;
  };

  const int fd_;
  [[maybe_unused]] const std::size_t slot_bytes_;  // of asserts
  const std::size_t slots_;
  const std::size_t stride_;
  const AlignedBytes buffer_;
  const RecvPort& receiver_;
  std::array<Frame, kSlotsMax> frames_;  // by slot
  std::size_t first_ = 0;                // oldest queued slot
  std::size_t first_sent_bytes_ = 0;     // of its frame
  bool refused_ = false;                 // there was no room when it was asked for
  std::atomic<std::size_t> queued_{0};   // frames that are not wholly sent
  std::uint64_t sequence_ = 0;
  std::atomic<Fault> fault_{Fault::none};
  std::atomic<int> fault_errno_{0};
};

}  // namespace tutti::transport
