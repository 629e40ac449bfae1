#include "transport/tcp/recv_port.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace tutti::transport {
namespace {

// Where the buffer's first header starts, so that its payload starts a cache line.
constexpr std::size_t kFirstFrameAt = kBufferAlignment - sizeof(FrameHeader);

}  // namespace

TcpRecvPort::TcpRecvPort(int fd, const Caps& caps)
    : fd_(fd),
      slot_bytes_(caps.slot_bytes),
      capacity_(kFirstFrameAt + frame_bytes(caps.slot_bytes) + kReadAheadBytes),
      buffer_(allocate_aligned(capacity_)),
      begin_(kFirstFrameAt),
      end_(kFirstFrameAt) {}

void TcpRecvPort::offer(std::span<std::byte> place) {
  assert(!placed_ || (place.data() == offered_.data() && place.size() == offered_.size()));
  offered_ = place;
}

std::span<const std::byte> TcpRecvPort::peek() {
  while (!have_message()) {
    if (state() != PortState::open || !read_more()) return {};
  }
  return {payload_, payload_bytes_};
}

void TcpRecvPort::release() {
  assert(stage_ == Stage::ready);
  // What follows a placed message was read to where a first frame begins.
  if (!placed_) begin_ += frame_bytes(payload_bytes_);
  stage_ = Stage::header;
  placed_ = false;
  offered_ = {};
}

PortState TcpRecvPort::state() const {
  if (closed_.load(std::memory_order_relaxed)) return PortState::closed;
  return fault() == Fault::none ? PortState::open : PortState::broken;
}

// True when a whole message is there.
bool TcpRecvPort::have_message() {
  if (stage_ == Stage::ready) return true;
  if (stage_ == Stage::header && !know_header()) return false;
  if (stage_ == Stage::buffered && buffered_bytes() < frame_bytes(payload_bytes_)) place();
  if (stage_ == Stage::placed) {
    if (placed_bytes_ < body_bytes()) return false;
    payload_ = offered_.data();
  } else {
    if (buffered_bytes() < frame_bytes(payload_bytes_)) return false;
    payload_ = buffer_.get() + begin_ + sizeof(FrameHeader);
  }
  ++sequence_;
  stage_ = Stage::ready;
  waiting_.store(false, std::memory_order_relaxed);
  return true;
}

bool TcpRecvPort::know_header() {
  if (buffered_bytes() < sizeof(FrameHeader) || state() != PortState::open) return false;
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
  stage_ = Stage::buffered;
  return true;
}

// What is still on its way of a large message goes to where it was offered.
void TcpRecvPort::place() {
  if (payload_bytes_ < kPlacedBytes || offered_.size() != payload_bytes_) return;
  placed_bytes_ = buffered_bytes() - sizeof(FrameHeader);
  std::memcpy(offered_.data(), buffer_.get() + begin_ + sizeof(FrameHeader),
              std::min(placed_bytes_, payload_bytes_));
  begin_ = end_ = kFirstFrameAt;
  stage_ = Stage::placed;
  placed_ = true;
}

// Reads once. False when there is nothing more to read for now.
bool TcpRecvPort::read_more() {
  ssize_t count = 0;
  do {
    count = stage_ == Stage::placed ? read_placed() : read_buffered();
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    // A short read emptied the kernel's buffer: either the message is complete now, or asking again
    // would be a system call in vain.
    if (!emptied_ || have_message()) return true;
    waiting_.store(state() == PortState::open, std::memory_order_relaxed);
    return false;
  }
  if (count < 0 && errno == EAGAIN) {
    waiting_.store(true, std::memory_order_relaxed);
    return false;
  }
  return count == 0 ? fail(Fault::end) : fail(Fault::system, errno);
}

// The rest of the payload to its place; padding and what follows into the buffer, such that the
// next frame is the first there.
ssize_t TcpRecvPort::read_placed() {
  const std::size_t read = std::min(placed_bytes_, payload_bytes_);
  const std::size_t padding = body_bytes() - std::max(placed_bytes_, payload_bytes_);
  std::array<iovec, 2> parts{
      iovec{offered_.data() + read, payload_bytes_ - read},
      iovec{buffer_.get() + kFirstFrameAt - padding, padding + kReadAheadBytes}};
  const ssize_t count = ::readv(fd_, parts.data(), parts.size());
  if (count <= 0) return count;
  const auto bytes = static_cast<std::size_t>(count);
  const std::size_t missing = body_bytes() - placed_bytes_;
  placed_bytes_ += std::min(bytes, missing);
  end_ = kFirstFrameAt + (bytes > missing ? bytes - missing : 0);
  emptied_ = bytes < missing + kReadAheadBytes;
  return count;
}

ssize_t TcpRecvPort::read_buffered() {
  // Until its header is known, a message is taken to be as long as the last one, unless it may
  // belong elsewhere.
  std::size_t expected = frame_bytes(payload_bytes_);
  if (stage_ == Stage::header && offered_.size() >= kPlacedBytes) expected = sizeof(FrameHeader);
  const std::size_t missing = std::max(expected, buffered_bytes()) - buffered_bytes();
  make_room(missing + kReadAheadBytes);
  const std::size_t wanted = std::min(missing + kReadAheadBytes, capacity_ - end_);
  const ssize_t count = ::recv(fd_, buffer_.get() + end_, wanted, 0);
  if (count <= 0) return count;
  end_ += static_cast<std::size_t>(count);
  emptied_ = static_cast<std::size_t>(count) < wanted;
  return count;
}

// Moves the beginning of a frame, mostly read-ahead of at most a few KiB, to the front when its
// rest would not fit behind it.
void TcpRecvPort::make_room(std::size_t wanted_bytes) {
  const std::size_t have = buffered_bytes();
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

}  // namespace tutti::transport
