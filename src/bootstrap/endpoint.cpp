#include "bootstrap/endpoint.h"

#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "base/try.h"

namespace tutti::bootstrap {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
// Abstract names end at 107 bytes. The end of a long job id is what tells jobs apart.
constexpr std::size_t kJobIdBytesMax = 64;

// With several addresses, one that swallows packets must not use up all the time.
constexpr int kDialMsMax = 3'000;

bool means_loopback_only(const HostPort& where) {
  if (where.host == "localhost") return true;
  const auto literal = SocketAddress::parse(where.host, where.port);
  return literal.ok() && literal->is_loopback();
}

}  // namespace

std::string unix_rendezvous(std::string_view source, std::string_view job_id) {
  if (job_id.size() > kJobIdBytesMax) job_id.remove_prefix(job_id.size() - kJobIdBytesMax);
  return fmt::format("{}tutti-{}-{}-{}", kUnixPrefix, ::geteuid(), source, job_id);
}

Result<Endpoint> Endpoint::parse(std::string_view rendezvous) {
  Endpoint endpoint;
  endpoint.text_ = rendezvous;
  if (rendezvous.starts_with(kUnixPrefix)) {
    endpoint.unix_name_ = rendezvous.substr(kUnixPrefix.size());
    if (endpoint.unix_name_.empty()) {
      return error(Code::invalid_argument, "rendezvous '{}' has no name after 'unix:'", rendezvous);
    }
    return endpoint;
  }
  TUTTI_TRY_ASSIGN(endpoint.where_, parse_host_port(rendezvous));
  return endpoint;
}

Result<std::vector<Fd>> Endpoint::listen() const {
  std::vector<Fd> listeners;
  if (!unix_name_.empty()) {
    TUTTI_TRY_ASSIGN(Fd fd, listen_abstract(unix_name_));
    listeners.push_back(std::move(fd));
    return listeners;
  }
  std::vector<SocketAddress> addresses = {SocketAddress::any_v4(where_.port),
                                          SocketAddress::any_v6(where_.port)};
  if (means_loopback_only(where_)) {
    TUTTI_TRY_ASSIGN(addresses, resolve(where_));
  }
  // A host without IPv6, or without IPv4, is in order as long as one family works.
  Status failure;
  for (const SocketAddress& address : addresses) {
    auto fd = listen_tcp(address);
    if (fd.ok()) {
      listeners.push_back(*std::move(fd));
    } else if (failure.ok()) {
      failure = fd.status();
    }
  }
  if (listeners.empty()) return failure;
  return listeners;
}

Result<Fd> Endpoint::dial(Deadline deadline) const {
  if (!unix_name_.empty()) return connect_abstract(unix_name_, deadline);
  TUTTI_TRY_ASSIGN(const std::vector<SocketAddress> addresses, resolve(where_));
  Status failure = error(Code::unavailable, "host '{}' has no address", where_.host);
  for (const SocketAddress& address : addresses) {
    auto fd = connect_tcp(address, deadline.sooner(Deadline::after_ms(kDialMsMax)));
    if (fd.ok()) return fd;
    failure = fd.status();
  }
  return failure;
}

bool Endpoint::same_user(const Fd& connection) const {
  if (unix_name_.empty()) return true;
  ucred other{};
  socklen_t length = sizeof other;
  return ::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &other, &length) == 0 &&
         other.uid == ::geteuid();
}

}  // namespace tutti::bootstrap
