// Sockets with deadlines: addresses, listening, connecting, whole-buffer transfers.
// All descriptors are non-blocking and close-on-exec; every wait takes a Deadline.
// Thread-compatible.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "tutti/status.h"

namespace tutti {

// An IPv4 or IPv6 address with port. A value.
class SocketAddress {
 public:
  SocketAddress() noexcept = default;
  SocketAddress(const sockaddr* address, socklen_t length) noexcept;
  static SocketAddress any_v4(std::uint16_t port = 0) noexcept;
  static SocketAddress any_v6(std::uint16_t port = 0) noexcept;
  // A literal "10.0.0.1" or "fe80::1%eth0".
  static Result<SocketAddress> parse(std::string_view host, std::uint16_t port);

  int family() const noexcept { return storage_.ss_family; }
  std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  bool is_loopback() const noexcept;
  bool is_link_local() const noexcept;
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const noexcept;
  // "10.0.0.1:4000", "[::1]:4000"
  std::string text() const;
  bool operator==(const SocketAddress& other) const noexcept;

 private:
  sockaddr_storage storage_{};
};

// Splits "host:port" or "[v6]:port"; an error names the text.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(std::string_view text);
// getaddrinfo; all addresses of the host.
Result<std::vector<SocketAddress>> resolve(const HostPort& where);

// The listener's own address (with the port the kernel chose) is local_address(fd).
Result<Fd> listen_tcp(const SocketAddress& address);
Result<SocketAddress> local_address(const Fd& fd);
// `congestion_control`: of congestion.h; empty leaves the kernel's choice.
Result<Fd> connect_tcp(const SocketAddress& address, Deadline deadline,
                       std::string_view congestion_control = {});
// Starts a connection without waiting; poll for writability, then socket_error() is 0 on success.
Result<Fd> start_connect_tcp(const SocketAddress& address,
                             std::string_view congestion_control = {});
int socket_error(const Fd& fd) noexcept;
Result<Fd> accept_connection(const Fd& listener, Deadline deadline);

// A Unix socket of type SOCK_STREAM in the abstract name space: no file, nothing to leave behind.
Result<Fd> listen_abstract(std::string_view name);
Result<Fd> connect_abstract(std::string_view name, Deadline deadline);

// Move the whole buffer or fail: unavailable with the errno text, timed_out, peer_failed when the
// other side closed.
Status send_all(const Fd& fd, std::span<const std::byte> bytes, Deadline deadline);
Status recv_all(const Fd& fd, std::span<std::byte> bytes, Deadline deadline);
// One byte of payload that carries open descriptors (SCM_RIGHTS), at most 250. Unix sockets only.
Status send_fds(const Fd& fd, std::span<const int> fds, Deadline deadline);
Result<std::vector<Fd>> recv_fds(const Fd& fd, std::size_t count, Deadline deadline);

// Waits until `events` (POLLIN, POLLOUT) on fd; false when the deadline passed.
bool wait_for(const Fd& fd, short events, Deadline deadline);

}  // namespace tutti
