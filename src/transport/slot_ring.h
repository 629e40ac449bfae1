// The slot ring: one lane of one direction between two ranks that share memory.
//
// A single producer and a single consumer pass messages along a ring of lines. The producer stamps
// a line with the message's number and length, and the consumer polls exactly that line; the
// message's tag and up to kInlineBytes travel in it, so a small message costs one line transfer. A
// longer one lies in the line's note, and one that is longer still in a slot, which is cut out of
// units (unit_ring.h) and begins where the line says. Credits
// come back through one counter that only the consumer writes, and that the producer reads only
// when it has run out: in steady state neither side touches a line that the other is polling.
//
// There are many more lines than whole slots: a sender of small messages gets far before it waits,
// and seldom takes the counter's line from the consumer, who would have to get it back before its
// next message goes out.
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
#include "transport/unit_ring.h"

namespace tutti::transport {

// 128 KiB amortizes a hand-over (about 1 us with its doorbell check) to below a tenth of the copy,
// and two slots still fit a core's L2 cache; 4 slots let a sender run ahead while the receiver
// reduces. Shorter messages are more: see unit_ring.h.
inline constexpr Caps kSlotCaps{.slot_bytes = 128 * 1024, .slots = 4};
// Default lanes of a link, as Config::lanes.
inline constexpr int kSlotLanes = 4;

inline constexpr int kRingLines = 32;

// Where a message lies: the smallest place that holds the largest window reserved for it.
enum class Room : std::uint32_t { line = 1, note, slot };  // no stamp is 0

// The stamp is sequence << 32 | room << 30 | length; sequences start at 1.
struct alignas(kCacheLine) RingLine {
  std::atomic<std::uint64_t> stamp{0};
  std::uint64_t tag = 0;
  std::byte payload[kCacheLine - sizeof stamp - sizeof tag];
};
static_assert(sizeof(RingLine) == kCacheLine);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::size_t kInlineBytes = sizeof(RingLine::payload);
inline constexpr std::uint32_t kRoomShift = 30;
static_assert(kSlotCaps.slot_bytes < (1U << kRoomShift));

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
constexpr std::size_t whole_lines(std::size_t bytes) {
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}
// 4 KiB where slots are as usual.
constexpr std::size_t note_bytes(const Caps& caps) {
  return whole_lines(caps.slot_bytes / 32);
}
constexpr std::size_t line_stride(const Caps& caps) {
  return sizeof(RingLine) + note_bytes(caps);
}
constexpr std::size_t slot_stride(const Caps& caps) {
  return whole_lines(caps.slot_bytes);
}
// Of which a slot has eight, or fewer where that leaves no whole lines.
constexpr std::size_t unit_bytes(const Caps& caps) {
  const std::size_t lines = slot_stride(caps) / kCacheLine;
  std::size_t units = 8;
  while (lines % units != 0) --units;
  return lines / units * kCacheLine;
}
// A message that does not fit before the end of the slots leaves up to one unused.
constexpr std::size_t slots_bytes(const Caps& caps) {
  return (static_cast<std::size_t>(caps.slots) + 1) * slot_stride(caps);
}
constexpr std::size_t ring_bytes(const Caps& caps) {
  const std::size_t bytes = sizeof(RingHeader) + kRingLines * line_stride(caps) + slots_bytes(caps);
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

// Where one ring lies and how large it is. A value.
struct RingView {
  RingHeader* header = nullptr;
  std::byte* lines = nullptr;
  std::byte* slots = nullptr;
  std::size_t unit_bytes = 0;
  Caps caps;

  // The ring of `lane` in a link area of at least link_area_bytes(lane + 1, caps).
  static RingView of(std::span<std::byte> area, int lane, const Caps& caps);
  RingLine* line(std::uint32_t index) const {
    return reinterpret_cast<RingLine*>(lines + index * line_stride(caps));
  }
  // Of a message of the line, which begins at that unit if it lies in a slot.
  std::byte* data(std::uint32_t index, std::uint32_t unit, Room room) const {
    RingLine* const at = line(index);
    if (room == Room::line) return at->payload;
    return room == Room::note ? reinterpret_cast<std::byte*>(at + 1) : slots + unit * unit_bytes;
  }
  std::uint32_t next_line(std::uint32_t index) const {
    return index + 1 == kRingLines ? 0 : index + 1;
  }
};

class SlotSender final : public SendPort {
 public:
  // `node` rings the doorbell of `peer_local`, a local rank. `receiver` is the far end's line.
  SlotSender(RingView ring, const EndLine& receiver, Node& node, int peer_local)
      : ring_(ring),
        receiver_(receiver),
        node_(node),
        peer_local_(peer_local),
        units_(slots_bytes(ring.caps) / ring.unit_bytes) {}

  std::span<std::byte> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, std::uint64_t tag) override;
  // What is committed is in the shared memory already.
  bool flush() override { return true; }
  std::uint64_t sent_messages() const override { return sent_; }
  bool released(std::uint64_t messages) override;
  PortState state() const override;

 private:
  // A place for a message: units of a slot, or none.
  struct Window {
    Room room = Room::line;
    std::uint32_t at = 0;
    std::uint32_t units = 0;
  };
  Room room_for(std::size_t bytes) const;
  Window window_for(std::size_t bytes) const;
  std::uint64_t last_in(const Window& window) const;

  RingView ring_;
  const EndLine& receiver_;
  Node& node_;
  int peer_local_;
  std::uint32_t line_ = 0;  // the next message's
  Window window_;           // that is reserved
  UnitRing units_;          // of the slots
  std::uint64_t sent_ = 0;
  std::uint64_t released_ = 0;  // the consumer's counter as last seen
};

class SlotReceiver final : public RecvPort {
 public:
  SlotReceiver(RingView ring, const EndLine& sender, Node& node, int peer_local)
      : ring_(ring), sender_(sender), node_(node), peer_local_(peer_local) {}

  std::span<const std::byte> peek() override;
  std::uint64_t tag() const override { return ring_.line(line_)->tag; }
  void release() override;
  PortState state() const override;

 private:
  // The next message's stamp, or 0.
  std::uint64_t arrived() const;

  RingView ring_;
  const EndLine& sender_;
  Node& node_;
  int peer_local_;
  std::uint32_t line_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace tutti::transport
