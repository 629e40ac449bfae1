#include "base/socket.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstring>

#include "base/congestion.h"
#include "base/error.h"
#include "base/try.h"

namespace tutti {
namespace {

// As many as the kernel allows (net.core.somaxconn): rank 0 of a big job is dialled by all at once.
constexpr int kBacklog = 65535;

std::string_view advice(int number) {
  if (number == EMFILE || number == ENFILE) return "; raise the limit of open files (ulimit -n)";
  if (number == ECONNREFUSED) return "; nothing listens there";
  if (number == EADDRINUSE) return "; another program uses it, choose another port";
  return "";
}

Status socket_failure(std::string_view what, int number) {
  return error(Code::unavailable, "cannot {}: {}{}", what, errno_text(number), advice(number));
}

Result<Fd> open_socket(int family) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return socket_failure("open a socket", errno);
  return fd;
}

// Messages leave at once: Nagle's algorithm would hold a small one back for a round trip.
void set_no_delay(const Fd& fd) {
  const int on = 1;
  // Cannot fail on a TCP socket; on another kind the answer does not matter.
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Starts connecting; true when that is done or under way.
bool begin_connect(const Fd& fd, const sockaddr* address, socklen_t length) {
  // After EINTR the connection goes on in the background, as after EINPROGRESS (POSIX connect()).
  return ::connect(fd.get(), address, length) == 0 || errno == EINPROGRESS || errno == EINTR;
}

struct AbstractAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

Result<AbstractAddress> abstract_address(std::string_view name) {
  AbstractAddress result;
  constexpr std::size_t kMax = sizeof result.address.sun_path - 1;
  if (name.empty() || name.size() > kMax) {
    return error(Code::invalid_argument,
                 "abstract Unix socket name '{}' has {} bytes; use 1 to {} bytes", name,
                 name.size(), kMax);
  }
  result.address.sun_family = AF_UNIX;
  // A zero byte in front makes it abstract: it lives in no file system and ends with its socket.
  std::copy(name.begin(), name.end(), result.address.sun_path + 1);
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return result;
}

bool is_closed_error(int number) {
  return number == EPIPE || number == ECONNRESET || number == ENOTCONN;
}

Status transfer_failure(std::string_view what, int number) {
  return is_closed_error(number)
             ? error(Code::peer_failed,
                     "the other side closed the connection while this side {}: {}", what,
                     errno_text(number))
             : error(Code::unavailable, "the connection failed while this side {}: {}", what,
                     errno_text(number));
}

Status transfer_timeout(std::string_view what, std::size_t done, std::size_t total) {
  return error(Code::timed_out, "the deadline passed while this side {}: {} of {} bytes done", what,
               done, total);
}

}  // namespace

bool wait_for(const Fd& fd, short events, Deadline deadline) {
  pollfd entry{fd.get(), events, 0};
  while (true) {
    const int timeout_ms = deadline.remaining_ms();
    const int ready = ::poll(&entry, 1, timeout_ms);
    if (ready > 0) return true;  // errors and hang-ups count: the transfer that follows tells them
    if (ready == 0 && deadline.passed()) return false;
    if (ready < 0 && errno != EINTR) return true;
  }
}

Result<Fd> listen_tcp(const SocketAddress& address) {
  TUTTI_TRY_ASSIGN(Fd fd, open_socket(address.family()));
  const int on = 1;
  // A port whose old connections linger in TIME_WAIT may be used again at once.
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) {
    (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(fd.get(), address.get(), address.length()) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return socket_failure(fmt::format("listen on {}", address.text()), errno);
  }
  return fd;
}

Result<SocketAddress> local_address(const Fd& fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return socket_failure("read a socket's own address", errno);
  }
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), length);
}

Result<Fd> start_connect_tcp(const SocketAddress& address, std::string_view congestion_control) {
  TUTTI_TRY_ASSIGN(Fd fd, open_socket(address.family()));
  set_no_delay(fd);
  if (!congestion_control.empty()) set_congestion_control(fd, congestion_control);
  if (!begin_connect(fd, address.get(), address.length())) {
    return socket_failure(fmt::format("connect to {}", address.text()), errno);
  }
  return fd;
}

int socket_error(const Fd& fd) noexcept {
  int number = 0;
  socklen_t length = sizeof number;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &number, &length) != 0) return errno;
  return number;
}

Result<Fd> connect_tcp(const SocketAddress& address, Deadline deadline,
                       std::string_view congestion_control) {
  TUTTI_TRY_ASSIGN(Fd fd, start_connect_tcp(address, congestion_control));
  if (!wait_for(fd, POLLOUT, deadline)) {
    return error(Code::timed_out,
                 "{} did not answer before the deadline; check the address, routes and firewall",
                 address.text());
  }
  if (const int number = socket_error(fd); number != 0) {
    return socket_failure(fmt::format("connect to {}", address.text()), number);
  }
  return fd;
}

Result<Fd> accept_connection(const Fd& listener, Deadline deadline) {
  while (true) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    Fd fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&storage), &length,
                    SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      if (storage.ss_family != AF_UNIX) set_no_delay(fd);
      return fd;
    }
    // These concern the one connection that is gone, not the listener (accept(2), "Error
    // handling").
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == ENETDOWN ||
        errno == EHOSTUNREACH || errno == ENETUNREACH) {
      continue;
    }
    if (errno != EAGAIN) return socket_failure("accept a connection", errno);
    if (!wait_for(listener, POLLIN, deadline)) {
      return error(Code::timed_out, "nobody connected before the deadline");
    }
  }
}

Result<Fd> listen_abstract(std::string_view name) {
  TUTTI_TRY_ASSIGN(const AbstractAddress to, abstract_address(name));
  TUTTI_TRY_ASSIGN(Fd fd, open_socket(AF_UNIX));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to.address), to.length) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return socket_failure(fmt::format("listen on the abstract Unix socket '{}'", name), errno);
  }
  return fd;
}

Result<Fd> connect_abstract(std::string_view name, Deadline deadline) {
  TUTTI_TRY_ASSIGN(const AbstractAddress to, abstract_address(name));
  TUTTI_TRY_ASSIGN(Fd fd, open_socket(AF_UNIX));
  while (!begin_connect(fd, reinterpret_cast<const sockaddr*>(&to.address), to.length)) {
    // EAGAIN: the listener's queue is full, and no event tells when it no longer is.
    if (errno != EAGAIN) {
      return socket_failure(fmt::format("connect to the abstract Unix socket '{}'", name), errno);
    }
    if (deadline.passed()) {
      return error(Code::timed_out,
                   "the abstract Unix socket '{}' accepted nobody before the deadline", name);
    }
    (void)::poll(nullptr, 0, 1);
  }
  return fd;
}

Status send_all(const Fd& fd, std::span<const std::byte> bytes, Deadline deadline) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto rest = bytes.subspan(done);
    const ssize_t sent = ::send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      done += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline))
        return transfer_timeout("was sending", done, bytes.size());
    } else if (errno != EINTR) {
      return transfer_failure("was sending", errno);
    }
  }
  return {};
}

Status recv_all(const Fd& fd, std::span<std::byte> bytes, Deadline deadline) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto rest = bytes.subspan(done);
    const ssize_t got = ::recv(fd.get(), rest.data(), rest.size(), 0);
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (got == 0) {
      return error(Code::peer_failed, "the other side closed the connection after {} of {} bytes",
                   done, bytes.size());
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline))
        return transfer_timeout("was receiving", done, bytes.size());
    } else if (errno != EINTR) {
      return transfer_failure("was receiving", errno);
    }
  }
  return {};
}

}  // namespace tutti
