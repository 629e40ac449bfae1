#include "transport/dial.h"

#include <poll.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/try.h"

namespace tutti::transport {
namespace {

// One target being tried.
class Attempt {
 public:
  enum class State { idle, connecting, waiting, answered, failed };

  explicit Attempt(const DialTarget& target) : target_(&target) {}

  State state() const { return state_; }
  bool active() const { return state_ == State::connecting || state_ == State::waiting; }
  pollfd poll_entry() const {
    return {fd_.get(), static_cast<short>(state_ == State::connecting ? POLLOUT : POLLIN), 0};
  }

  void start() {
    auto fd = target_->start();
    if (!fd.ok()) return fail(std::string(fd.status().message()));
    fd_ = *std::move(fd);
    state_ = State::connecting;
  }

  // Called when the descriptor is ready.
  void advance(const HelloBytes& hello, const AnswerBytes& expected) {
    if (state_ == State::connecting) {
      send_hello(hello);
    } else if (state_ == State::waiting) {
      read_answer(expected);
    }
  }

  Fd take() { return std::move(fd_); }

  std::string report() const {
    const char* reason = reason_.c_str();
    if (state_ == State::idle) reason = "not tried before the deadline";
    if (state_ == State::connecting) reason = "no reply (filtered by a firewall, or no such host)";
    if (state_ == State::waiting) {
      reason =
          "connected, but the process there gave no answer (stopped, or not a rank of this job)";
    }
    return fmt::format("{}: {}", target_->where, reason);
  }

 private:
  void fail(std::string reason) {
    state_ = State::failed;
    reason_ = std::move(reason);
    fd_.reset();
  }

  void send_hello(const HelloBytes& hello) {
    if (const int number = socket_error(fd_); number != 0) return fail(errno_text(number));
    // A new connection has room for these few bytes; a short write means that it is no good.
    const ssize_t sent = ::send(fd_.get(), hello.data(), hello.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(hello.size())) {
      state_ = State::waiting;
    } else {
      fail(sent < 0 ? errno_text(errno) : "could not send the first bytes");
    }
  }

  void read_answer(const AnswerBytes& expected) {
    const ssize_t count =
        ::recv(fd_.get(), answer_.data() + received_, answer_.size() - received_, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) return fail(errno_text(errno));
    if (count == 0) return fail("leads to another process, which closed the connection");
    received_ += static_cast<std::size_t>(count);
    if (std::memcmp(answer_.data(), expected.data(), received_) != 0) {
      return fail("leads to another process, whose answer is not that rank's");
    }
    if (received_ < answer_.size()) return;
    const ConfirmBytes bytes = confirm();
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) {
      state_ = State::answered;
    } else {
      fail(sent < 0 ? errno_text(errno) : "could not confirm the connection");
    }
  }

  const DialTarget* target_;
  State state_ = State::idle;
  Fd fd_;
  AnswerBytes answer_{};
  std::size_t received_ = 0;
  std::string reason_;
};

std::string report_all(const std::vector<Attempt>& attempts) {
  std::vector<std::string> lines;
  lines.reserve(attempts.size());
  for (const Attempt& attempt : attempts) lines.push_back(attempt.report());
  return fmt::format("{}", fmt::join(lines, "; "));
}

// Waits until an attempt has something to do, at most until `until`; the answered one, or null.
Attempt* wait_and_advance(std::vector<Attempt>& attempts, const HelloBytes& hello,
                          const AnswerBytes& expected, Deadline until) {
  std::vector<pollfd> entries;
  std::vector<Attempt*> owners;
  for (Attempt& attempt : attempts) {
    if (!attempt.active()) continue;
    entries.push_back(attempt.poll_entry());
    owners.push_back(&attempt);
  }
  if (::poll(entries.data(), entries.size(), until.remaining_ms()) <= 0) return nullptr;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].revents == 0) continue;
    owners[i]->advance(hello, expected);
    if (owners[i]->state() == Attempt::State::answered) return owners[i];
  }
  return nullptr;
}

}  // namespace

Result<Fd> dial(std::span<const DialTarget> targets, const Hello& hello, Deadline deadline,
                const std::function<Status()>& stop) {
  const HelloBytes hello_bytes = encode(hello);
  const AnswerBytes expected = answer_of(hello.taker);
  std::vector<Attempt> attempts(targets.begin(), targets.end());
  std::size_t started = 0;
  Deadline next_start = Deadline::after_ms(0);
  while (true) {
    if (stop) TUTTI_TRY(stop());
    if (deadline.passed()) return error(Code::timed_out, "{}", report_all(attempts));
    const auto active = [&] {
      return std::any_of(attempts.begin(), attempts.end(),
                         [](const Attempt& one) { return one.active(); });
    };
    while (started < attempts.size() && (next_start.passed() || !active())) {
      attempts[started++].start();
      next_start = Deadline::after_ms(kStaggerMs);
    }
    if (!active()) return error(Code::unavailable, "{}", report_all(attempts));
    Deadline until = deadline.sooner(Deadline::after_ms(kStopIntervalMs));
    if (started < attempts.size()) until = until.sooner(next_start);
    if (Attempt* winner = wait_and_advance(attempts, hello_bytes, expected, until)) {
      return winner->take();
    }
  }
}

namespace {

// The address through each own interface that has a link-local one: fe80:: addresses name a host
// only together with the interface, which the peer cannot know.
void add_scoped(const std::vector<Interface>& own, const SocketAddress& address,
                std::vector<SocketAddress>& out) {
  for (const Interface& one : own) {
    if (one.address.family() != AF_INET6 || !one.address.is_link_local()) continue;
    auto scoped = *reinterpret_cast<const sockaddr_in6*>(address.get());
    scoped.sin6_scope_id = reinterpret_cast<const sockaddr_in6*>(one.address.get())->sin6_scope_id;
    out.emplace_back(reinterpret_cast<const sockaddr*>(&scoped), sizeof scoped);
  }
}

}  // namespace

DialPlan plan_dial(const std::vector<Interface>& own, const Card& mine, const Card& peer,
                   bool all_share_host) {
  DialPlan plan;
  const bool same_host = mine.boot_id == peer.boot_id;
  for (const SocketAddress& address : peer.addresses) {
    const bool is_own = std::any_of(own.begin(), own.end(), [&](const Interface& one) {
      return same_host_address(one.address, address);
    });
    if (address.is_loopback() && !all_share_host) {
      plan.dropped.push_back(address.text() + ": loopback, but the ranks run on several hosts");
    } else if (is_own && !same_host) {
      plan.dropped.push_back(address.text() + ": an address of this host too, so it leads nowhere");
    } else if (address.family() == AF_INET6 && address.is_link_local()) {
      add_scoped(own, address, plan.addresses);
    } else {
      plan.addresses.push_back(address);
    }
  }
  std::stable_partition(plan.addresses.begin(), plan.addresses.end(), [&](const auto& address) {
    return std::any_of(own.begin(), own.end(),
                       [&](const Interface& one) { return same_subnet(one, address); });
  });
  return plan;
}

}  // namespace tutti::transport
