#include "transport/slot_ring.h"

#include <algorithm>
#include <cstring>

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
  return {reinterpret_cast<RingHeader*>(at), lines, lines + kRingLines * line_stride(caps),
          transport::unit_bytes(caps), caps};
}

Room SlotSender::room_for(std::size_t bytes) const {
  if (bytes <= kInlineBytes) return Room::line;
  return bytes <= note_bytes(ring_.caps) ? Room::note : Room::slot;
}

std::span<std::byte> SlotSender::reserve(std::size_t bytes) {
  assert(bytes <= ring_.caps.slot_bytes);
  const Window window = window_for(bytes);
  // Acquire: the consumer's last reads of them come before what is written there now.
  if (!released(last_in(window))) return {};
  if (window_.units > 0 && window.at != window_.at) {
    std::memmove(ring_.data(line_, window.at, Room::slot),
                 ring_.data(line_, window_.at, Room::slot), window_.units * ring_.unit_bytes);
  }
  window_ = window;
  return {ring_.data(line_, window.at, window.room), bytes};
}

// Once large, a window stays so until it is committed: what was written into it is kept, also when
// it has become too large for the place where it was.
SlotSender::Window SlotSender::window_for(std::size_t bytes) const {
  Window window{.room = std::max(window_.room, room_for(bytes))};
  if (window.room != Room::slot) return window;
  window.units = std::max(window_.units, units_of(bytes, ring_.unit_bytes));
  window.at = units_.place(window.units);
  return window;
}

// The last message that was in the next line, or in the units.
std::uint64_t SlotSender::last_in(const Window& window) const {
  const std::uint64_t in_line = sent_ < kRingLines ? 0 : sent_ + 1 - kRingLines;
  if (window.room != Room::slot) return in_line;
  return std::max(in_line, units_.last_in(window.at, window.units));
}

void SlotSender::commit(std::size_t bytes, std::uint64_t tag) {
  assert(bytes <= ring_.caps.slot_bytes && window_.room >= room_for(bytes));
  assert(window_.room != Room::slot || units_of(bytes, ring_.unit_bytes) <= window_.units);
  assert(released_ >= last_in(window_));
  ++sent_;
  const auto room = static_cast<std::uint64_t>(window_.room);
  const std::uint64_t stamp = sent_ << 32 | room << kRoomShift | bytes;
  RingLine* const line = ring_.line(line_);
  line->tag = tag;
  if (window_.room == Room::slot) {
    std::memcpy(line->payload, &window_.at, sizeof(window_.at));
    units_.take(window_.at, units_of(bytes, ring_.unit_bytes), sent_);
  }
  // Release: whoever sees the stamp sees the tag and the payload.
  line->stamp.store(stamp, std::memory_order_release);
  line_ = ring_.next_line(line_);
  window_ = {};
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
  std::uint32_t unit = 0;
  if (room_of(stamp) == Room::slot) {
    std::memcpy(&unit, ring_.line(line_)->payload, sizeof(unit));
    assert((unit + units_of(bytes, ring_.unit_bytes)) * ring_.unit_bytes <=
           slots_bytes(ring_.caps));
  }
  return {ring_.data(line_, unit, room_of(stamp)), bytes};
}

void SlotReceiver::release() {
  assert(arrived() != 0);
  ++received_;
  line_ = ring_.next_line(line_);
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
