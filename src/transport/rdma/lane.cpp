#include "transport/rdma/lane.h"

#include <endian.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "transport/rdma/region.h"

namespace tutti::transport::rdma {

// ---- Sending

LaneSender::LaneSender(LaneOwner& owner, Poller& poller, int lane, const LaneMemory& memory,
                       LaneReceiver& receiver)
    : owner_(owner),
      poller_(poller),
      lane_(static_cast<std::uint8_t>(lane)),
      memory_(memory),
      receiver_(receiver),
      messages_(static_cast<std::size_t>(memory.caps.slots)) {
  receiver.set_sender(*this);
}

std::span<std::byte> LaneSender::reserve(std::size_t bytes) {
  assert(bytes <= memory_.caps.slot_bytes);
  if (full()) poller_.poll();
  if (full() || state() != PortState::open) return {};
  return {slot(), bytes};
}

void LaneSender::commit(std::size_t bytes, std::uint64_t tag) {
  std::memcpy(slot() + bytes, &tag, sizeof tag);
  add({.data = slot(), .bytes = static_cast<std::uint32_t>(bytes)});
}

bool LaneSender::send_from(std::span<const std::byte> bytes, const Registration& memory,
                           std::uint64_t tag) {
  if (full()) poller_.poll();
  if (full() || state() != PortState::open) return false;
  borrowed_ = sent_ + 1;
  std::memcpy(slot(), &tag, sizeof tag);
  add({.data = bytes.data(), .bytes = static_cast<std::uint32_t>(bytes.size()), .memory = &memory});
  return true;
}

void LaneSender::add(const Message& message) {
  assert(!full() && message.bytes <= memory_.caps.slot_bytes);
  messages_[slot_of(sent_)] = message;
  ++sent_;
  pump();
}

bool LaneSender::flush() {
  if (!pump() || !borrowed_bytes_are_read()) {
    poller_.poll();
    return pump() && borrowed_bytes_are_read();
  }
  return true;
}

// Read by the device for the last time, that is: delivered.
bool LaneSender::borrowed_bytes_are_read() {
  const bool read = borrowed_ <= std::max(released_, delivered_) ||
                    (path_ != nullptr && posted_ >= borrowed_ &&
                     path_->pair->retired() >= messages_[slot_of(borrowed_ - 1)].posted_as);
  if (read) returned_ = borrowed_;
  return read;
}

bool LaneSender::pump() {
  while (posted_ < sent_) {
    if (!post_message(posted_)) return false;
    ++posted_;
  }
  if (!credit_due_) return true;
  // A peer that closed needs none, and takes none: its queue pairs are gone.
  if (state() != PortState::open) credit_due_ = false;
  return !credit_due_ || post_credit();
}

bool LaneSender::post_message(std::uint64_t number) {
  if (path_ == nullptr || !path_->pair->has_room()) return false;
  Message& message = messages_[slot_of(number)];
  std::array<ibv_sge, kSendParts> parts;
  ibv_send_wr work{};
  work.sg_list = parts.data();
  work.num_sge = gather(number, parts);
  if (message.bytes + kTagBytes <= path_->pair->inline_bytes()) work.send_flags = IBV_SEND_INLINE;
  work.wr.rdma.remote_addr =
      path_->remote.slots_address + memory_.remote_offset + slot_of(number) * memory_.stride();
  const Immediate immediate{.kind = Immediate::message,
                            .lane = lane_,
                            .released = 0,
                            .number = static_cast<std::uint16_t>(number)};
  // The end of a borrowed message has to be told: its owner waits for it.
  if (!post(work, immediate, message.memory != nullptr)) return false;
  message.posted_as = path_->pair->posted();
  return true;
}

// What a message is written from: the lane's own slot, where the tag follows the bytes, or the
// caller's memory and then the tag alone in the slot. Returns how many parts.
int LaneSender::gather(std::uint64_t number, std::array<ibv_sge, kSendParts>& parts) const {
  const Message& message = messages_[slot_of(number)];
  const std::byte* const slot = memory_.send_slots + slot_of(number) * memory_.stride();
  int count = 0;
  std::uint32_t slot_bytes = kTagBytes;
  if (message.memory == nullptr) {
    slot_bytes += message.bytes;
  } else if (message.bytes > 0) {
    // A part of no bytes would mean 2 GiB to some devices.
    const auto* region = static_cast<const Region*>(message.memory);
    parts[0] = {reinterpret_cast<std::uintptr_t>(message.data), message.bytes,
                region->lkey(path_->rail_index)};
    count = 1;
  }
  parts[static_cast<std::size_t>(count)] = {reinterpret_cast<std::uintptr_t>(slot), slot_bytes,
                                            path_->local_key};
  return count + 1;
}

bool LaneSender::post_credit() {
  if (path_ == nullptr || !path_->pair->has_room()) return false;
  ibv_send_wr work{};
  work.send_flags = IBV_SEND_INLINE;
  work.wr.rdma.remote_addr = path_->remote.slots_address + memory_.remote_offset;
  return post(work, {.kind = Immediate::credit, .lane = lane_, .released = 0, .number = 0}, false);
}

bool LaneSender::post(ibv_send_wr& work, Immediate immediate, bool signal) {
  immediate.released = receiver_.announce();
  work.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
  work.imm_data = htobe32(encode(immediate));
  work.wr.rdma.rkey = path_->remote.slots_key;
  if (int number = path_->pair->post(work, signal); number != 0) {
    owner_.post_failed(*path_, number);
    return false;
  }
  credit_due_ = false;
  return true;
}

void LaneSender::credit(std::uint8_t released) {
  const auto news = static_cast<std::uint8_t>(released - static_cast<std::uint8_t>(released_));
  if (news <= sent_ - released_) released_ += news;
}

bool LaneSender::resume(std::uint64_t received, std::uint64_t released) {
  if (received > sent_ || released > received || received < returned_) return false;
  released_ = std::max(released_, released);
  delivered_ = std::max(delivered_, received);
  posted_ = received;
  credit_due_ = true;  // those announced over the lost path may not have come
  return true;
}

// ---- Receiving

LaneReceiver::LaneReceiver(LaneOwner& owner, Poller& poller, const LaneMemory& memory)
    : owner_(owner),
      poller_(poller),
      memory_(memory),
      announce_every_(static_cast<std::uint64_t>(std::max(1, memory.caps.slots / 2))),
      bytes_(static_cast<std::size_t>(memory.caps.slots)) {}

std::span<const std::byte> LaneReceiver::peek() {
  if (received_ == released_) poller_.poll();
  if (received_ == released_) return {};
  return {next_message(), bytes_[next_slot()]};
}

std::uint64_t LaneReceiver::tag() const {
  assert(received_ > released_);
  std::uint64_t tag = 0;
  std::memcpy(&tag, next_message() + bytes_[next_slot()], sizeof tag);
  return tag;
}

void LaneReceiver::release() {
  assert(received_ > released_);
  ++released_;
  if (released_ - announced_ < announce_every_) return;
  sender_->owe_credit();
  sender_->pump();
}

PortState LaneReceiver::state() const {
  const PortState state = owner_.state();
  if (state != PortState::closed) return state;
  return released_ >= closes_after_ ? PortState::closed : PortState::open;
}

bool LaneReceiver::arrived(std::uint16_t number, std::uint32_t bytes) {
  const auto slots = static_cast<std::uint64_t>(memory_.caps.slots);
  if (number != static_cast<std::uint16_t>(received_) || bytes < kTagBytes ||
      bytes - kTagBytes > memory_.caps.slot_bytes || received_ - released_ == slots) {
    return false;
  }
  bytes_[static_cast<std::size_t>(received_ % slots)] =
      static_cast<std::uint32_t>(bytes - kTagBytes);
  ++received_;
  return true;
}

}  // namespace tutti::transport::rdma
