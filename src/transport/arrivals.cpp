#include "transport/arrivals.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <span>
#include <system_error>

#include "base/block_signals.h"
#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"
#include "transport/dial.h"

namespace tutti::transport {
namespace {

// How long to leave new connections in the kernel's queue after descriptors ran out.
constexpr int kPauseMs = 100;

std::string peer_text(const Fd& fd, bool unix_socket) {
  if (unix_socket) return "a process of this host";
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return "an unknown address";
  }
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), length).text();
}

}  // namespace

bool same_user(const Fd& fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 &&
         credentials.uid == ::geteuid();
}

Result<std::unique_ptr<Arrivals>> Arrivals::start(const Listeners& listeners, int rank,
                                                  std::vector<Card> cards) {
  Fd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.valid()) {
    return error(Code::unavailable, "rank {} cannot make an eventfd: {}; raise ulimit -n", rank,
                 errno_text(errno));
  }
  std::unique_ptr<Arrivals> arrivals(
      new Arrivals(listeners, rank, std::move(cards), std::move(wake)));
  const BlockSignals block;
  try {
    arrivals->thread_ = std::thread([self = arrivals.get()] { self->serve(); });
  } catch (const std::system_error& failure) {
    return error(Code::unavailable,
                 "rank {} cannot start the thread that answers connections: {}; raise the limit of "
                 "threads (ulimit -u, pids.max of the container)",
                 rank, failure.what());
  }
  ::pthread_setname_np(arrivals->thread_.native_handle(), "tutti-accept");
  return arrivals;
}

Arrivals::Arrivals(const Listeners& listeners, int rank, std::vector<Card> cards, Fd wake)
    : listeners_(listeners), rank_(rank), cards_(std::move(cards)), wake_(std::move(wake)) {}

Arrivals::~Arrivals() {
  if (!thread_.joinable()) return;
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
}

Result<Fd> Arrivals::take(const ConnectionKey& key, Deadline deadline,
                          const std::function<Status()>& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto found = std::find_if(mailbox_.begin(), mailbox_.end(),
                                    [&](const Parcel& parcel) { return parcel.key == key; });
    if (found != mailbox_.end()) {
      Fd fd = std::move(found->fd);
      mailbox_.erase(found);
      return fd;
    }
    if (deadline.passed()) {
      const std::string others =
          turned_away_ == 0 ? ""
                            : fmt::format("; {} other connections were turned away, the last: {}",
                                          turned_away_, last_turned_away_);
      return error(Code::timed_out, "it did not connect before the deadline{}", others);
    }
    if (stop) {
      lock.unlock();
      TUTTI_TRY(stop());
      lock.lock();
    }
    changed_.wait_until(lock, deadline.sooner(Deadline::after_ms(kStopIntervalMs)).at());
  }
}

void Arrivals::serve() {
  std::vector<pollfd> entries;
  while (true) {
    entries.assign(1, pollfd{wake_.get(), POLLIN, 0});
    const short wanted = accepting_ && !crowded() ? POLLIN : 0;
    for (const Fd& listener : listeners_.tcp) entries.push_back({listener.get(), wanted, 0});
    entries.push_back({listeners_.unix_socket.get(), wanted, 0});
    const std::size_t first_pending = entries.size();
    for (const Pending& one : pending_) entries.push_back({one.fd.get(), POLLIN, 0});

    (void)::poll(entries.data(), entries.size(), poll_timeout_ms());
    if (entries[0].revents != 0) return;
    accepting_ = true;
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      if (entries[first_pending + i].revents == 0) continue;
      const Progress progress = advance(pending_[i]);
      if (progress == Progress::deliver) deliver(pending_[i]);
      if (progress != Progress::more) pending_[i].fd.reset();
    }
    drop_expired();
    for (std::size_t i = 0; i < listeners_.tcp.size(); ++i) {
      if (entries[1 + i].revents != 0) accept_all(listeners_.tcp[i], false);
    }
    if (entries[first_pending - 1].revents != 0) accept_all(listeners_.unix_socket, true);
  }
}

int Arrivals::poll_timeout_ms() const {
  int timeout_ms = accepting_ ? -1 : kPauseMs;
  for (const Pending& one : pending_) {
    if (one.answered) continue;
    const int left_ms = expiry(one).remaining_ms();
    timeout_ms = timeout_ms < 0 ? left_ms : std::min(timeout_ms, left_ms);
  }
  return timeout_ms;
}

void Arrivals::accept_all(const Fd& listener, bool unix_socket) {
  // Not accept_connection(), whose errors are for people: this must tell an empty queue from a lack
  // of descriptors.
  while (!crowded()) {
    Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      accepting_ = errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
      return;
    }
    if (unix_socket && !same_user(fd)) {
      std::lock_guard lock(mutex_);
      ++turned_away_;
      last_turned_away_ = "a process of this host that runs under another user";
      continue;
    }
    if (!unix_socket) {
      const int on = 1;
      (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    pending_.push_back(Pending{std::move(fd), unix_socket, false, Clock::now(), {}, {}, 0});
  }
}

bool Arrivals::crowded() const {
  const auto strangers = std::count_if(pending_.begin(), pending_.end(),
                                       [](const Pending& one) { return !one.answered; });
  return static_cast<std::size_t>(strangers) >= kStrangersMax;
}

Deadline Arrivals::expiry(const Pending& pending) const {
  const int patience_ms = crowded() ? kHelloCrowdedMs : kHelloMs;
  return Deadline(pending.since + std::chrono::milliseconds(patience_ms));
}

void Arrivals::drop_expired() {
  std::erase_if(pending_, [](const Pending& one) { return !one.fd.valid(); });
  for (Pending& one : pending_) {
    if (one.answered || !expiry(one).passed()) continue;
    (void)turn_away(one, "said nothing valid in time");
    one.fd.reset();
  }
  std::erase_if(pending_, [](const Pending& one) { return !one.fd.valid(); });
}

Arrivals::Progress Arrivals::advance(Pending& pending) {
  const std::size_t want = pending.answered ? kConfirmBytes : kHelloBytes;
  const ssize_t count =
      ::recv(pending.fd.get(), pending.bytes.data() + pending.received, want - pending.received, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::more;
  // The dialler found a better address meanwhile: the usual end of the connections that lose.
  if (count <= 0 && pending.answered) return Progress::drop;
  if (count <= 0) return turn_away(pending, "closed the connection before its hello");
  pending.received += static_cast<std::size_t>(count);
  if (pending.received < want) return Progress::more;
  if (!pending.answered) return read_hello(pending);
  const ConfirmBytes expected = confirm();
  if (std::equal(expected.begin(), expected.end(), pending.bytes.begin())) return Progress::deliver;
  return turn_away(pending, "did not confirm its hello");
}

Arrivals::Progress Arrivals::read_hello(Pending& pending) {
  const auto hello = decode_hello(pending.bytes);
  if (!hello) return turn_away(pending, "sent something that is no hello of this version");
  const bool known = hello->taker == cards_[static_cast<std::size_t>(rank_)].process &&
                     hello->rank > rank_ && static_cast<std::size_t>(hello->rank) < cards_.size() &&
                     cards_[static_cast<std::size_t>(hello->rank)].process == hello->dialler;
  if (!known) return turn_away(pending, "meant another process or another communicator");
  const AnswerBytes answer = answer_of(hello->taker);
  const ssize_t sent = ::send(pending.fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(answer.size())) {
    return turn_away(pending, "left before it was answered");
  }
  pending.key = {hello->rank, hello->purpose, hello->index, pending.unix_socket};
  pending.answered = true;
  pending.received = 0;
  return Progress::more;
}

Arrivals::Progress Arrivals::turn_away(const Pending& pending, std::string_view why) {
  std::string text = fmt::format("{} {}", peer_text(pending.fd, pending.unix_socket), why);
  std::lock_guard lock(mutex_);
  ++turned_away_;
  last_turned_away_ = std::move(text);
  return Progress::drop;
}

void Arrivals::deliver(Pending& pending) {
  {
    std::lock_guard lock(mutex_);
    mailbox_.push_back({pending.key, std::move(pending.fd)});
  }
  changed_.notify_all();
}

}  // namespace tutti::transport
