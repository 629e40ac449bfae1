#include "transport/tcp/send_port.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace tutti::transport {
namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

TcpSendPort::TcpSendPort(int fd, const Caps& caps, const RecvPort& receiver)
    : fd_(fd),
      slot_bytes_(caps.slot_bytes),
      slots_(static_cast<std::size_t>(caps.slots)),
      stride_(kPayloadAt + round_up(caps.slot_bytes, kPayloadAt)),
      buffer_(allocate_aligned(stride_ * slots_)),
      receiver_(receiver) {
  assert(slots_ >= 1 && slots_ <= kSlotsMax);
}

std::span<std::byte> TcpSendPort::reserve(std::size_t bytes) {
  assert(bytes <= slot_bytes_);
  if (!have_room()) return {};
  return {payload(next_slot()), bytes};
}

void TcpSendPort::commit(std::size_t bytes, std::uint64_t tag) {
  assert(bytes <= slot_bytes_ && !full());
  // No bytes of earlier messages, or of the heap, leave the process as padding.
  std::memset(payload(next_slot()) + bytes, 0, frame_bytes(bytes) - sizeof(FrameHeader) - bytes);
  enqueue(bytes, nullptr, tag);
}

bool TcpSendPort::send_from(std::span<const std::byte> bytes, const Registration& /*memory*/,
                            std::uint64_t tag) {
  assert(bytes.size() <= slot_bytes_);
  if (!have_room()) return false;
  enqueue(bytes.size(), bytes.data(), tag);
  return true;
}

bool TcpSendPort::flush() {
  if (pending()) send_queued();
  return !pending();
}

PortState TcpSendPort::state() const {
  if (receiver_.state() != PortState::open) return receiver_.state();
  return fault() == Fault::none ? PortState::open : PortState::broken;
}

bool TcpSendPort::have_room() {
  if (full()) send_queued();
  refused_ = full();
  return !refused_ && state() == PortState::open;
}

std::size_t TcpSendPort::next_slot() const {
  return (first_ + queued_.load(std::memory_order_relaxed)) % slots_;
}

void TcpSendPort::enqueue(std::size_t bytes, const std::byte* lent, std::uint64_t tag) {
  const std::size_t queued = queued_.load(std::memory_order_relaxed);
  const std::size_t slot = next_slot();
  const FrameHeader frame{FrameKind::message, static_cast<std::uint32_t>(bytes), sequence_++, tag};
  std::memcpy(header(slot), &frame, sizeof frame);
  frames_[slot] = {bytes, lent};
  queued_.store(queued + 1, std::memory_order_relaxed);
  // Behind others that wait the kernel has no room: flush() and reserve() will look again.
  if (queued == 0) send_queued();
}

// One system call for all that waits.
void TcpSendPort::send_queued() {
  if (fault() != Fault::none) return;
  std::array<iovec, kPartsMax> parts;
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = gather(parts);
  ssize_t sent = 0;
  do {
    // A message in one piece, as small ones are, takes the kernel 0.1 us less by send().
    sent = message.msg_iovlen == 1 ? ::send(fd_, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                                   : ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    consume(static_cast<std::size_t>(sent));
  } else if (errno != EAGAIN) {
    fault_errno_.store(errno, std::memory_order_relaxed);
    fault_.store(Fault::system, std::memory_order_release);
  }
}

// What is queued and not yet sent, piece by piece; returns how many pieces.
std::size_t TcpSendPort::gather(std::array<iovec, kPartsMax>& parts) const {
  static constexpr std::array<std::byte, kFrameAlignment> kPadding{};
  std::size_t count = 0;
  std::size_t skip = first_sent_bytes_;
  const auto add = [&](const std::byte* from, std::size_t bytes) {
    const std::size_t skipped = std::min(skip, bytes);
    skip -= skipped;
    // The kernel only reads it.
    if (skipped < bytes) parts[count++] = {const_cast<std::byte*>(from) + skipped, bytes - skipped};
  };
  const std::size_t queued = queued_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < queued; ++i) {
    const std::size_t slot = (first_ + i) % slots_;
    const auto& [payload_bytes, lent] = frames_[slot];
    if (lent == nullptr) {
      add(header(slot), frame_bytes(payload_bytes));
      continue;
    }
    add(header(slot), sizeof(FrameHeader));
    add(lent, payload_bytes);
    add(kPadding.data(), frame_bytes(payload_bytes) - sizeof(FrameHeader) - payload_bytes);
  }
  return count;
}

void TcpSendPort::consume(std::size_t bytes) {
  std::size_t queued = queued_.load(std::memory_order_relaxed);
  bytes += first_sent_bytes_;
  while (queued > 0) {
    const std::size_t whole = frame_bytes(frames_[first_].payload_bytes);
    if (bytes < whole) break;
    bytes -= whole;
    first_ = (first_ + 1) % slots_;
    --queued;
  }
  first_sent_bytes_ = bytes;
  queued_.store(queued, std::memory_order_relaxed);
}

}  // namespace tutti::transport
