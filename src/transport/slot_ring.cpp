#include "transport/slot_ring.h"

namespace tutti::transport {

RingView RingView::of(std::span<std::byte> area, int lane, const Caps& caps) {
  assert(area.size() >= link_area_bytes(lane + 1, caps));
  std::byte* const at =
      area.data() + sizeof(LinkHeader) + static_cast<std::size_t>(lane) * ring_bytes(caps);
  return {reinterpret_cast<RingHeader*>(at), at + sizeof(RingHeader), caps};
}

std::span<std::byte> SlotSender::reserve(std::size_t bytes) {
  assert(bytes <= ring_.caps.slot_bytes);
  const auto slots = static_cast<std::uint64_t>(ring_.caps.slots);
  if (sent_ - released_ == slots) {
    // Acquire: the consumer's last reads of the slot come before what is written into it now.
    released_ = ring_.header->released.load(std::memory_order_acquire);
    if (sent_ - released_ == slots) return {};
  }
  // Once large, a window stays so until it is committed: what was written into it is kept.
  large_ = large_ || bytes > kInlineBytes;
  SlotHeader* const slot = ring_.slot(index_);
  return {large_ ? reinterpret_cast<std::byte*>(slot + 1) : slot->payload, bytes};
}

void SlotSender::commit(std::size_t bytes, std::uint64_t tag) {
  assert(bytes <= (large_ ? ring_.caps.slot_bytes : kInlineBytes));
  assert(sent_ - released_ < static_cast<std::uint64_t>(ring_.caps.slots));
  ++sent_;
  const std::uint64_t stamp =
      sent_ << 32 | (large_ ? 0U : kInlineFlag) | static_cast<std::uint32_t>(bytes);
  SlotHeader* const slot = ring_.slot(index_);
  slot->tag = tag;
  // Release: whoever sees the stamp sees the tag and the payload.
  slot->stamp.store(stamp, std::memory_order_release);
  large_ = false;
  if (++index_ == static_cast<std::uint32_t>(ring_.caps.slots)) index_ = 0;
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
  SlotHeader* const slot = ring_.slot(index_);
  const std::uint64_t stamp = slot->stamp.load(std::memory_order_acquire);
  // A slot's sequences are `slots` apart, so an old stamp never equals the awaited one, not even
  // where the 32 bits wrap.
  if (static_cast<std::uint32_t>(stamp >> 32) != static_cast<std::uint32_t>(received_ + 1)) {
    return {};
  }
  const auto low = static_cast<std::uint32_t>(stamp);
  const std::size_t bytes = low & ~kInlineFlag;
  assert(bytes <= ((low & kInlineFlag) != 0 ? kInlineBytes : ring_.caps.slot_bytes));
  return {(low & kInlineFlag) != 0 ? slot->payload : reinterpret_cast<std::byte*>(slot + 1), bytes};
}

void SlotReceiver::release() {
  assert(arrived());
  ++received_;
  if (++index_ == static_cast<std::uint32_t>(ring_.caps.slots)) index_ = 0;
  // Release: our reads of the slot come before the producer's next writes.
  ring_.header->released.store(received_, std::memory_order_release);
  node_.ring(peer_local_);
}

bool SlotReceiver::arrived() const {
  const std::uint64_t stamp = ring_.slot(index_)->stamp.load(std::memory_order_acquire);
  return static_cast<std::uint32_t>(stamp >> 32) == static_cast<std::uint32_t>(received_ + 1);
}

PortState SlotReceiver::state() const {
  // Closed is stored after the last stamp: seen first, it leaves no message unseen.
  const bool closed = sender_.state.load(std::memory_order_acquire) == EndLine::closed;
  return closed && !arrived() ? PortState::closed : PortState::open;
}

}  // namespace tutti::transport
