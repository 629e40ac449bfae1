// The slot ring: one lane of one direction between two ranks that share memory.
//
// A single producer and a single consumer pass messages through a few fixed slots. The producer
// stamps a slot with the message's number and length, and the consumer polls exactly that line; the
// message's tag and up to kInlineBytes travel in the stamp's own cache line, so a small message
// costs one line transfer. Credits come back through one counter that only the consumer writes, and
// that the producer reads only when it has run out: in steady state neither side touches a line
// that the other is polling.
//
// Memory: the rings of one direction lie in one link area (Node::link_area), which is zero-filled
// at first; zero is the empty ring. It outlives the ports. The two ends of a ring may live in
// different processes; each end belongs to one thread at a time.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/node.h"
#include "transport/port.h"
#include "transport/transport.h"

namespace tutti::transport {

// 128 KiB amortizes a hand-over (about 1 us with its doorbell check) to below a tenth of the copy,
// and two slots still fit a core's L2 cache; 4 slots let a sender run ahead while the receiver
// reduces.
inline constexpr Caps kSlotCaps{.slot_bytes = 128 * 1024, .slots = 4};
// Default lanes of a link, as Config::lanes.
inline constexpr int kSlotLanes = 4;

// First line of a slot. The stamp is sequence << 32 | inline << 31 | length; sequences start at 1.
struct alignas(kCacheLine) SlotHeader {
  std::atomic<std::uint64_t> stamp{0};
  std::uint64_t tag = 0;
  std::byte payload[kCacheLine - sizeof stamp - sizeof tag];
};
static_assert(sizeof(SlotHeader) == kCacheLine);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::size_t kInlineBytes = sizeof(SlotHeader::payload);
inline constexpr std::uint32_t kInlineFlag = 1U << 31;
static_assert(kSlotCaps.slot_bytes < kInlineFlag);

// Written by the consumer: how many messages it has released. Two lines wide, because x86
// prefetches lines in pairs and the next one is being polled by the consumer.
struct alignas(2 * kCacheLine) RingHeader {
  std::atomic<std::uint64_t> released{0};
};

// What one end of a direction says about itself; written by that end alone.
struct alignas(kCacheLine) EndLine {
  enum : std::uint32_t { fresh = 0, open = 1, closed = 2 };
  std::atomic<std::uint32_t> state{fresh};
};

// Head of a link area.
struct LinkHeader {
  EndLine sender;
  EndLine receiver;
};

// Sizes of the parts of a link area.
constexpr std::size_t slot_stride(const Caps& caps) {
  return sizeof(SlotHeader) + (caps.slot_bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}
constexpr std::size_t ring_bytes(const Caps& caps) {
  const std::size_t bytes =
      sizeof(RingHeader) + static_cast<std::size_t>(caps.slots) * slot_stride(caps);
  return (bytes + alignof(RingHeader) - 1) / alignof(RingHeader) * alignof(RingHeader);
}
// Bytes of one direction between two ranks, whole pages: NodeLayout::link_bytes.
constexpr std::size_t link_area_bytes(int lanes, const Caps& caps = kSlotCaps) {
  constexpr std::size_t kPage = 4096;
  const std::size_t bytes = sizeof(LinkHeader) + static_cast<std::size_t>(lanes) * ring_bytes(caps);
  return (bytes + kPage - 1) / kPage * kPage;
}
inline constexpr std::size_t kPeerBytesMax = 8 * 1024 * 1024;
static_assert(2 * link_area_bytes(kSlotLanes) <= kPeerBytesMax,
              "both directions to one peer exceed the default budget");

// Where one ring lies and how many slots it has. A value.
struct RingView {
  RingHeader* header = nullptr;
  std::byte* slots = nullptr;
  Caps caps;

  // The ring of `lane` in a link area of at least link_area_bytes(lane + 1, caps).
  static RingView of(std::span<std::byte> area, int lane, const Caps& caps);
  SlotHeader* slot(std::uint32_t index) const {
    return reinterpret_cast<SlotHeader*>(slots + index * slot_stride(caps));
  }
};

class SlotSender final : public SendPort {
 public:
  // `node` rings the doorbell of `peer_local`, a local rank. `receiver` is the far end's line.
  SlotSender(RingView ring, const EndLine& receiver, Node& node, int peer_local)
      : ring_(ring), receiver_(receiver), node_(node), peer_local_(peer_local) {}

  std::span<std::byte> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, std::uint64_t tag) override;
  // What is committed is in the shared memory already.
  bool flush() override { return true; }
  std::uint64_t sent_messages() const override { return sent_; }
  bool released(std::uint64_t messages) override;
  PortState state() const override;

 private:
  RingView ring_;
  const EndLine& receiver_;
  Node& node_;
  int peer_local_;
  std::uint32_t index_ = 0;  // of the next slot
  bool large_ = false;       // the reserved window is the slot's body, not its header line
  std::uint64_t sent_ = 0;
  std::uint64_t released_ = 0;  // the consumer's counter as last seen
};

class SlotReceiver final : public RecvPort {
 public:
  SlotReceiver(RingView ring, const EndLine& sender, Node& node, int peer_local)
      : ring_(ring), sender_(sender), node_(node), peer_local_(peer_local) {}

  std::span<const std::byte> peek() override;
  std::uint64_t tag() const override { return ring_.slot(index_)->tag; }
  void release() override;
  PortState state() const override;

 private:
  bool arrived() const;

  RingView ring_;
  const EndLine& sender_;
  Node& node_;
  int peer_local_;
  std::uint32_t index_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace tutti::transport
