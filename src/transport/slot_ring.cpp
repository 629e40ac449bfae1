#include "transport/slot_ring.h"

#include <algorithm>

namespace tutti::transport {

namespace {

Room room_of(std::uint64_t stamp) {
  return static_cast<Room>(static_cast<std::uint32_t>(stamp) >> kRoomShift);
}
std::size_t bytes_of(std::uint64_t stamp) {
  return stamp & ((1U << kRoomShift) - 1);
}

}  // namespace

RingView RingView::of(std::span<std::byte> area, int lane, const Caps& caps) {
  assert(area.size() >= link_area_bytes(lane + 1, caps));
  std::byte* const at =
      area.data() + sizeof(LinkHeader) + static_cast<std::size_t>(lane) * ring_bytes(caps);
  std::byte* const lines = at + sizeof(RingHeader);
  return {reinterpret_cast<RingHeader*>(at), lines, lines + kRingLines * line_stride(caps), caps};
}

Room SlotSender::room_for(std::size_t bytes) const {
  if (bytes <= kInlineBytes) return Room::line;
  return bytes <= note_bytes(ring_.caps) ? Room::note : Room::slot;
}

std::span<std::byte> SlotSender::reserve(std::size_t bytes) {
  assert(bytes <= ring_.caps.slot_bytes);
  // Once large, a window stays so until it is committed: what was written into it is kept.
  const Room room = std::max(room_, room_for(bytes));
  // Acquire: the consumer's last reads of them come before what is written there now.
  if (!released(last_in(room))) return {};
  room_ = room;
  return {ring_.data(line_, slot_, room), bytes};
}

// The last message that was in the next line, or in the next slot.
std::uint64_t SlotSender::last_in(Room room) const {
  const std::uint64_t in_line = sent_ < kRingLines ? 0 : sent_ + 1 - kRingLines;
  return room == Room::slot ? std::max(in_line, held_[slot_]) : in_line;
}

void SlotSender::commit(std::size_t bytes, std::uint64_t tag) {
  assert(bytes <= ring_.caps.slot_bytes && room_ >= room_for(bytes));
  assert(released_ >= last_in(room_));
  ++sent_;
  const std::uint64_t stamp = sent_ << 32 | static_cast<std::uint64_t>(room_) << kRoomShift | bytes;
  RingLine* const line = ring_.line(line_);
  line->tag = tag;
  // Release: whoever sees the stamp sees the tag and the payload.
  line->stamp.store(stamp, std::memory_order_release);
  if (room_ == Room::slot) {
    held_[slot_] = sent_;
    slot_ = ring_.next_slot(slot_);
  }
  line_ = ring_.next_line(line_);
  room_ = Room::line;
  node_.ring(peer_local_);
}

bool SlotSender::released(std::uint64_t messages) {
  if (released_ < messages) released_ = ring_.header->released.load(std::memory_order_acquire);
  return released_ >= messages;
}

PortState SlotSender::state() const {
  return receiver_.state.load(std::memory_order_acquire) == EndLine::closed ? PortState::closed
                                                                            : PortState::open;
}

std::span<const std::byte> SlotReceiver::peek() {
  const std::uint64_t stamp = arrived();
  if (stamp == 0) return {};
  const std::size_t bytes = bytes_of(stamp);
  assert(bytes <= ring_.caps.slot_bytes);
  return {ring_.data(line_, slot_, room_of(stamp)), bytes};
}

void SlotReceiver::release() {
  const std::uint64_t stamp = arrived();
  assert(stamp != 0);
  ++received_;
  line_ = ring_.next_line(line_);
  if (room_of(stamp) == Room::slot) slot_ = ring_.next_slot(slot_);
  // Release: our reads of the message come before what the producer writes in its place.
  ring_.header->released.store(received_, std::memory_order_release);
  node_.ring(peer_local_);
}

std::uint64_t SlotReceiver::arrived() const {
  const std::uint64_t stamp = ring_.line(line_)->stamp.load(std::memory_order_acquire);
  // A line's sequences are kRingLines apart, so an old stamp never equals the awaited one, not even
  // where the 32 bits wrap.
  const bool next =
      static_cast<std::uint32_t>(stamp >> 32) == static_cast<std::uint32_t>(received_ + 1);
  return next ? stamp : 0;
}

PortState SlotReceiver::state() const {
  // Closed is stored after the last stamp: seen first, it leaves no message unseen.
  const bool closed = sender_.state.load(std::memory_order_acquire) == EndLine::closed;
  return closed && arrived() == 0 ? PortState::closed : PortState::open;
}

}  // namespace tutti::transport
