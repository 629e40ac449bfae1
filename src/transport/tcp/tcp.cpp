#include "transport/tcp/tcp.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <mutex>
#include <string>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "transport/tcp/recv_port.h"
#include "transport/tcp/send_port.h"

namespace tutti::transport {
namespace {

// How long destroying a link waits for the kernel to take the last header of each lane, when its
// buffer is full at that moment.
constexpr std::int64_t kCloseMs = 200;

std::string remote_text(const Fd& fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return "address unknown";
  }
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), length).text();
}

// The kernel copies what it sends, so any memory is as good as registered. What it did not take yet
// is read until flush() is true.
class AnyMemory final : public Registration {};
constexpr AnyMemory kAnyMemory;

struct Lane {
  Lane(Fd connection, const Caps& caps)
      : fd(std::move(connection)),
        remote(remote_text(fd)),
        receiver(fd.get(), caps),
        sender(fd.get(), caps, receiver) {}

  bool healthy() const { return sender.fault() == Fault::none && receiver.fault() == Fault::none; }
  // "Connection reset by peer (errno 104)", or empty.
  std::string fault_text() const;
  bool own_fault() const {
    return (sender.fault() == Fault::system && sender.fault_errno() == EFAULT) ||
           (receiver.fault() == Fault::system && receiver.fault_errno() == EFAULT);
  }
  // Tells the peer that nothing follows, if that is possible before the deadline.
  void close(Deadline deadline);

  Fd fd;
  std::string remote;
  TcpRecvPort receiver;
  TcpSendPort sender;
};

std::string Lane::fault_text() const {
  // An errno says more than the end of the stream that both directions see after it.
  for (const auto& [fault, number] : {std::pair(sender.fault(), sender.fault_errno()),
                                      std::pair(receiver.fault(), receiver.fault_errno())}) {
    if (fault != Fault::system) continue;
    if (number != EFAULT) return errno_text(number);
    return "memory that this rank itself passed cannot be read or written: check the addresses and "
           "counts of its call; " +
           errno_text(number);
  }
  switch (receiver.fault()) {
    case Fault::end:
      return "connection ended without notice (its process died or was killed, or its call failed)";
    case Fault::bad_frame:
      return "received bytes that are no message (does something alter the stream, or do the "
             "ranks run different versions of Tutti?)";
    default:
      return {};
  }
}

void Lane::close(Deadline deadline) {
  // What was not flushed is given up: its call has failed, and memory that was lent may be gone.
  // Without the close frame the peer sees that.
  if (!healthy() || sender.pending()) return;
  const FrameHeader header{FrameKind::close, 0, sender.sequence(), 0};
  if (!send_all(fd, std::as_bytes(std::span(&header, 1)), deadline).ok()) return;
  (void)::shutdown(fd.get(), SHUT_WR);
  // Closing a socket with unread bytes resets the connection, and the peer could lose what is still
  // on its way. Nobody wants these bytes any more.
  std::array<std::byte, 16 * 1024> unread;
  while (::recv(fd.get(), unread.data(), unread.size(), 0) > 0) {
  }
}

class TcpLink final : public Link {
 public:
  TcpLink(const Card& peer, const Caps& caps) : caps_(caps), peer_(peer.rank), host_(peer.host) {}
  ~TcpLink() override {
    const Deadline deadline = Deadline::after_ms(kCloseMs);
    for (auto& lane : lanes_) lane->close(deadline);
  }

  void add(Fd connection) {
    lanes_.push_back(std::make_unique<Lane>(std::move(connection), caps_));
  }
  SendPort& send_port(int lane) override { return lanes_[static_cast<std::size_t>(lane)]->sender; }
  RecvPort& recv_port(int lane) override {
    return lanes_[static_cast<std::size_t>(lane)]->receiver;
  }
  const Caps& caps() const override { return caps_; }
  const Registration* acquire(const void* /*data*/, std::size_t /*bytes*/) override {
    return &kAnyMemory;
  }
  void add_poll_fds(std::vector<pollfd>& fds) override;
  std::string_view broken_reason() const override;
  bool own_fault() const override {
    return std::ranges::any_of(lanes_, [](const auto& lane) { return lane->own_fault(); });
  }

 private:
  const Caps caps_;
  const int peer_;
  const std::string host_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  mutable std::mutex reason_mutex_;
  mutable std::string reason_;  // made once, then constant
};

void TcpLink::add_poll_fds(std::vector<pollfd>& fds) {
  for (const auto& lane : lanes_) {
    // A lane that ended is always ready: waiting for it would be spinning.
    if (!lane->healthy() || lane->receiver.state() != PortState::open) continue;
    int events = 0;
    if (lane->receiver.waiting()) events |= POLLIN;
    if (lane->sender.take_new_room() || lane->sender.pending()) events |= POLLOUT;
    if (events != 0) fds.push_back({lane->fd.get(), static_cast<short>(events), 0});
  }
}

std::string_view TcpLink::broken_reason() const {
  std::lock_guard lock(reason_mutex_);
  for (std::size_t i = 0; i < lanes_.size() && reason_.empty(); ++i) {
    const std::string text = lanes_[i]->fault_text();
    if (text.empty()) continue;
    reason_ = fmt::format("{} on lane {} to rank {} (host {}, {})", text, i, peer_, host_,
                          lanes_[i]->remote);
  }
  return reason_;
}

class TcpTransport final : public Transport {
 public:
  TcpTransport(int rank, std::vector<Card> cards, Switchboard& switchboard, const Caps& caps,
               std::function<Status()> stop)
      : rank_(rank),
        cards_(std::move(cards)),
        switchboard_(switchboard),
        caps_(caps),
        stop_(std::move(stop)) {}

  std::string_view name() const override { return "tcp"; }
  bool reaches(int peer) const override { return peer != rank_; }
  Result<std::unique_ptr<Link>> connect(int peer, int lanes, Deadline deadline) override;

 private:
  const int rank_;
  const std::vector<Card> cards_;
  Switchboard& switchboard_;
  const Caps caps_;
  const std::function<Status()> stop_;
};

Result<std::unique_ptr<Link>> TcpTransport::connect(int peer, int lanes, Deadline deadline) {
  assert(reaches(peer) && lanes >= 1);
  auto link = std::make_unique<TcpLink>(cards_[static_cast<std::size_t>(peer)], caps_);
  for (int lane = 0; lane < lanes; ++lane) {
    TUTTI_TRY_ASSIGN(Fd fd, switchboard_.connect_tcp(peer, Purpose::tcp, lane, deadline, stop_));
    link->add(std::move(fd));
  }
  return std::unique_ptr<Link>(std::move(link));
}

}  // namespace

std::unique_ptr<Transport> make_tcp(int rank, std::vector<Card> cards, Switchboard& switchboard,
                                    const Caps& caps, std::function<Status()> stop) {
  return std::make_unique<TcpTransport>(rank, std::move(cards), switchboard, caps, std::move(stop));
}

}  // namespace tutti::transport
