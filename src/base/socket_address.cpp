#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/socket.h"
#include "base/try.h"

namespace tutti {
namespace {

const sockaddr_in& as_v4(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in&>(storage);
}
const sockaddr_in6& as_v6(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in6&>(storage);
}

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// The list, or getaddrinfo's complaint in `why`.
AddressList look_up(const std::string& host, int family, int flags, std::string& why) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (code != 0) {
    why = code == EAI_SYSTEM ? errno_text(errno) : gai_strerror(code);
    list = nullptr;
  }
  return {list, &freeaddrinfo};
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t length) noexcept {
  std::memcpy(&storage_, address, std::min<std::size_t>(length, sizeof storage_));
}

SocketAddress SocketAddress::any_v4(std::uint16_t port) noexcept {
  SocketAddress address;
  address.storage_.ss_family = AF_INET;  // INADDR_ANY is all zeros
  address.set_port(port);
  return address;
}

SocketAddress SocketAddress::any_v6(std::uint16_t port) noexcept {
  SocketAddress address;
  address.storage_.ss_family = AF_INET6;  // in6addr_any is all zeros
  address.set_port(port);
  return address;
}

Result<SocketAddress> SocketAddress::parse(std::string_view host, std::uint16_t port) {
  const std::string text(host);
  // inet_pton rather than getaddrinfo, which takes "1" for 0.0.0.1.
  if (in_addr v4{}; inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    SocketAddress address = any_v4(port);
    reinterpret_cast<sockaddr_in&>(address.storage_).sin_addr = v4;
    return address;
  }
  std::string why = "it is neither IPv4 nor IPv6";
  if (text.find(':') != std::string::npos) {
    // getaddrinfo rather than inet_pton, because it knows scopes ("%eth0").
    const AddressList list = look_up(text, AF_INET6, AI_NUMERICHOST, why);
    if (list) {
      SocketAddress address(list->ai_addr, list->ai_addrlen);
      address.set_port(port);
      return address;
    }
  }
  return error(Code::invalid_argument,
               "'{}' is no IP address: {}; write it like 10.0.0.1, fd00::1 or fe80::1%eth0", host,
               why);
}

std::uint16_t SocketAddress::port() const noexcept {
  if (family() == AF_INET) return ntohs(as_v4(storage_).sin_port);
  if (family() == AF_INET6) return ntohs(as_v6(storage_).sin6_port);
  return 0;
}

void SocketAddress::set_port(std::uint16_t port) noexcept {
  if (family() == AF_INET) reinterpret_cast<sockaddr_in&>(storage_).sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(storage_).sin6_port = htons(port);
}

bool SocketAddress::is_loopback() const noexcept {
  if (family() == AF_INET) return ntohl(as_v4(storage_).sin_addr.s_addr) >> 24 == 127;
  return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&as_v6(storage_).sin6_addr);
}

bool SocketAddress::is_link_local() const noexcept {
  if (family() == AF_INET) return ntohl(as_v4(storage_).sin_addr.s_addr) >> 16 == 0xa9fe;
  return family() == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&as_v6(storage_).sin6_addr);
}

socklen_t SocketAddress::length() const noexcept {
  if (family() == AF_INET) return sizeof(sockaddr_in);
  if (family() == AF_INET6) return sizeof(sockaddr_in6);
  return 0;
}

std::string SocketAddress::text() const {
  std::array<char, NI_MAXHOST> host{};
  if (length() == 0 ||
      getnameinfo(get(), length(), host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return "no address";
  }
  return family() == AF_INET6 ? fmt::format("[{}]:{}", host.data(), port())
                              : fmt::format("{}:{}", host.data(), port());
}

bool SocketAddress::operator==(const SocketAddress& other) const noexcept {
  if (family() != other.family() || port() != other.port()) return false;
  if (family() == AF_INET) {
    return as_v4(storage_).sin_addr.s_addr == as_v4(other.storage_).sin_addr.s_addr;
  }
  if (family() != AF_INET6) return true;
  const sockaddr_in6& a = as_v6(storage_);
  const sockaddr_in6& b = as_v6(other.storage_);
  return std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0 &&
         a.sin6_scope_id == b.sin6_scope_id;
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return error(Code::invalid_argument, "'{}' is not of the form host:port or [IPv6]:port: {}",
                 text, why);
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("the port is missing");
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets around it");
  }
  if (host.empty()) return bad("the host is missing");

  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [stop, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc() || stop != digits.data() + digits.size() || port == 0) {
    return bad("the port must be a number from 1 to 65535");
  }
  return HostPort{std::string(host), port};
}

Result<std::vector<SocketAddress>> resolve(const HostPort& where) {
  std::string why;
  const AddressList list = look_up(where.host, AF_UNSPEC, 0, why);
  if (!list) {
    return error(Code::unavailable, "cannot find the address of host '{}': {}; check the name",
                 where.host, why);
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    SocketAddress address(one->ai_addr, one->ai_addrlen);
    address.set_port(where.port);
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

}  // namespace tutti
