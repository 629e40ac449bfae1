#include "transport/tcp/lane.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace tutti::transport {
namespace {

// Where the receive buffer's first header starts, so that its payload starts a cache line.
constexpr std::size_t kFirstFrameAt = 64 - sizeof(FrameHeader);

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

AlignedBytes allocate_aligned(std::size_t bytes) {
  return AlignedBytes(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
}

// ---- Receiving

TcpRecvPort::TcpRecvPort(int fd, const Caps& caps)
    : fd_(fd),
      slot_bytes_(caps.slot_bytes),
      capacity_(kFirstFrameAt + frame_bytes(caps.slot_bytes) + kReadAheadBytes),
      buffer_(allocate_aligned(capacity_)),
      begin_(kFirstFrameAt),
      end_(kFirstFrameAt),
      expected_bytes_(sizeof(FrameHeader)) {}

std::span<const std::byte> TcpRecvPort::peek() {
  while (!have_message()) {
    if (state() != PortState::open || !read_more()) return {};
  }
  return {buffer_.get() + begin_ + sizeof(FrameHeader), payload_bytes_};
}

void TcpRecvPort::release() {
  assert(ready_);
  ready_ = false;
  expected_bytes_ = frame_bytes(payload_bytes_);
  begin_ += expected_bytes_;
}

PortState TcpRecvPort::state() const {
  if (closed_.load(std::memory_order_relaxed)) return PortState::closed;
  return fault() == Fault::none ? PortState::open : PortState::broken;
}

// True when a whole message lies at begin_. Learns the frame's size once the header is there.
bool TcpRecvPort::have_message() {
  if (ready_) return true;
  const std::size_t have = end_ - begin_;
  if (have < sizeof(FrameHeader) || state() != PortState::open) return false;
  FrameHeader header;
  std::memcpy(&header, buffer_.get() + begin_, sizeof header);
  const bool known = header.kind == FrameKind::message || header.kind == FrameKind::close;
  if (!known || header.payload_bytes > slot_bytes_ || header.sequence != sequence_) {
    return fail(Fault::bad_frame);
  }
  if (header.kind == FrameKind::close) {
    closed_.store(true, std::memory_order_relaxed);
    waiting_.store(false, std::memory_order_relaxed);
    return false;
  }
  payload_bytes_ = header.payload_bytes;
  tag_ = header.tag;
  expected_bytes_ = frame_bytes(payload_bytes_);
  if (have < expected_bytes_) return false;
  ++sequence_;
  ready_ = true;
  waiting_.store(false, std::memory_order_relaxed);
  return true;
}

// Reads once. False when there is nothing more to read for now.
bool TcpRecvPort::read_more() {
  const std::size_t have = end_ - begin_;
  const std::size_t missing = std::max(expected_bytes_, have) - have;
  make_room(missing + kReadAheadBytes);
  const std::size_t wanted = std::min(missing + kReadAheadBytes, capacity_ - end_);
  ssize_t count = 0;
  do {
    count = ::recv(fd_, buffer_.get() + end_, wanted, 0);
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    end_ += static_cast<std::size_t>(count);
    // A short read emptied the kernel's buffer: either the message is complete now, or asking again
    // would be a system call in vain.
    if (static_cast<std::size_t>(count) == wanted || have_message()) return true;
    waiting_.store(state() == PortState::open, std::memory_order_relaxed);
    return false;
  }
  if (count < 0 && errno == EAGAIN) {
    waiting_.store(true, std::memory_order_relaxed);
    return false;
  }
  return count == 0 ? fail(Fault::end) : fail(Fault::system, errno);
}

// Moves the beginning of a frame, mostly read-ahead of at most a few KiB, to the front when its
// rest would not fit behind it.
void TcpRecvPort::make_room(std::size_t wanted_bytes) {
  const std::size_t have = end_ - begin_;
  if (have > 0 && (begin_ == kFirstFrameAt || end_ + wanted_bytes <= capacity_)) return;
  std::memmove(buffer_.get() + kFirstFrameAt, buffer_.get() + begin_, have);
  begin_ = kFirstFrameAt;
  end_ = begin_ + have;
}

bool TcpRecvPort::fail(Fault fault, int number) {
  fault_errno_.store(number, std::memory_order_relaxed);
  fault_.store(fault, std::memory_order_release);
  waiting_.store(false, std::memory_order_relaxed);
  return false;
}

// ---- Sending

TcpSendPort::TcpSendPort(int fd, const Caps& caps, const TcpRecvPort& receiver)
    : fd_(fd),
      slot_bytes_(caps.slot_bytes),
      slots_(static_cast<std::size_t>(caps.slots)),
      stride_(kPayloadAt + round_up(caps.slot_bytes, 64)),
      buffer_(allocate_aligned(stride_ * slots_)),
      receiver_(receiver) {
  assert(slots_ >= 1 && slots_ <= kSlotsMax);
}

std::span<std::byte> TcpSendPort::reserve(std::size_t bytes) {
  assert(bytes <= slot_bytes_);
  if (queued_.load(std::memory_order_relaxed) == slots_) send_queued();
  const std::size_t queued = queued_.load(std::memory_order_relaxed);
  refused_ = queued == slots_;
  if (refused_ || state() != PortState::open) return {};
  return {payload((first_ + queued) % slots_), bytes};
}

void TcpSendPort::commit(std::size_t bytes, std::uint64_t tag) {
  const std::size_t queued = queued_.load(std::memory_order_relaxed);
  assert(bytes <= slot_bytes_ && queued < slots_);
  const std::size_t slot = (first_ + queued) % slots_;
  const FrameHeader header{FrameKind::message, static_cast<std::uint32_t>(bytes), sequence_++, tag};
  std::memcpy(frame(slot), &header, sizeof header);
  // No bytes of earlier messages, or of the heap, leave the process as padding.
  std::memset(payload(slot) + bytes, 0, frame_bytes(bytes) - sizeof header - bytes);
  queued_.store(queued + 1, std::memory_order_relaxed);
  // Behind others that wait the kernel has no room: flush() and reserve() will look again.
  if (queued == 0) send_queued();
}

bool TcpSendPort::flush() {
  if (pending()) send_queued();
  return !pending();
}

PortState TcpSendPort::state() const {
  if (receiver_.state() != PortState::open) return receiver_.state();
  return fault() == Fault::none ? PortState::open : PortState::broken;
}

// One system call for all that waits.
void TcpSendPort::send_queued() {
  if (fault() != Fault::none) return;
  std::array<iovec, kSlotsMax> parts;
  const std::size_t queued = queued_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < queued; ++i) {
    const std::size_t slot = (first_ + i) % slots_;
    FrameHeader header;
    std::memcpy(&header, frame(slot), sizeof header);
    const std::size_t skip = i == 0 ? first_sent_bytes_ : 0;
    parts[i] = {frame(slot) + skip, frame_bytes(header.payload_bytes) - skip};
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = queued;
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    consume(static_cast<std::size_t>(sent));
  } else if (errno != EAGAIN) {
    fault_errno_.store(errno, std::memory_order_relaxed);
    fault_.store(Fault::system, std::memory_order_release);
  }
}

void TcpSendPort::consume(std::size_t bytes) {
  std::size_t queued = queued_.load(std::memory_order_relaxed);
  bytes += first_sent_bytes_;
  while (queued > 0) {
    FrameHeader header;
    std::memcpy(&header, frame(first_), sizeof header);
    const std::size_t whole = frame_bytes(header.payload_bytes);
    if (bytes < whole) break;
    bytes -= whole;
    first_ = (first_ + 1) % slots_;
    --queued;
  }
  first_sent_bytes_ = bytes;
  queued_.store(queued, std::memory_order_relaxed);
}

}  // namespace tutti::transport
