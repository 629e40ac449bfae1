#include "runtime/control_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "base/error.h"

namespace tutti::runtime::control {
namespace {

// Bytes taken from one connection per turn, so that no peer keeps the thread from the others.
constexpr std::size_t kReadBytes = 16384;

bool would_block(int number) {
  return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

}  // namespace

Link::Link(int peer, int ranks_beyond, int size, Fd fd)
    : peer_(peer), ranks_beyond_(ranks_beyond), fd_(std::move(fd)), in_(size) {
  // News must not wait for the acknowledgement of the last heartbeat. A socket that is not TCP
  // refuses, and needs it not.
  const int on = 1;
  (void)::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Link::send(const Message& message) {
  if (!open() || finishing_ || shut_) return;
  const auto frame = encode(message);
  out_.insert(out_.end(), frame.begin(), frame.end());
  flush();
}

void Link::flush() {
  if (!open() || shut_) return;
  std::size_t sent = 0;
  while (sent < out_.size()) {
    const auto count =
        ::send(fd_.get(), out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && would_block(errno)) break;
    if (count < 0) {
      shut_ = true;
      out_.clear();
      return;
    }
    sent += static_cast<std::size_t>(count);
  }
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent));
  if (finishing_ && out_.empty()) {
    shut_ = true;
    (void)::shutdown(fd_.get(), SHUT_WR);
  }
}

void Link::finish() {
  finishing_ = true;
  flush();
}

Link::Arrival Link::receive() {
  Arrival arrival;
  if (!open()) return arrival;
  std::array<std::byte, kReadBytes> buffer;
  const auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count > 0) {
    last_heard_ = Clock::now();
    if (!garbled_) in_.append(std::span(buffer).first(static_cast<std::size_t>(count)));
    parse(arrival);
  } else if (count == 0) {
    arrival.end = Arrival::End::closed;
    arrival.reason = "was closed";
  } else if (!would_block(errno)) {
    arrival.end = Arrival::End::closed;
    arrival.reason = fmt::format("broke: {}", errno_text(errno));
  }
  if (arrival.end == Arrival::End::closed) {
    out_.clear();
    fd_.reset();
  }
  return arrival;
}

void Link::parse(Arrival& arrival) {
  while (!garbled_) {
    auto next = in_.next();
    if (!next.ok()) {
      garbled_ = true;
      arrival.end = Arrival::End::garbage;
      arrival.reason = std::string(next.status().message());
      return;
    }
    if (!next->has_value()) return;
    arrival.messages.push_back(*std::move(*next));
  }
}

}  // namespace tutti::runtime::control
