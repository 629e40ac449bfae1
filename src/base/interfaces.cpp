#include "base/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <span>

#include "base/error.h"

namespace tutti {
namespace {

// The bytes of the host part: 4 for IPv4, 16 for IPv6.
std::span<const std::byte> address_bytes(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return std::as_bytes(std::span(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 1));
  }
  return std::as_bytes(std::span(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 1));
}

int count_prefix_bits(const sockaddr* netmask) {
  int bits = 0;
  if (netmask == nullptr) return bits;
  for (const std::byte byte : address_bytes(netmask)) {
    bits += std::popcount(std::to_integer<unsigned>(byte));
  }
  return bits;
}

// By what the kernel says, and by name for what only looks like a bridge from outside.
bool is_bridge(const std::string& name) {
  constexpr std::array<std::string_view, 8> kPrefixes = {"docker", "br-",    "virbr", "veth",
                                                         "cni",    "podman", "lxc",   "vmnet"};
  const bool known = std::any_of(kPrefixes.begin(), kPrefixes.end(),
                                 [&](std::string_view prefix) { return name.starts_with(prefix); });
  return known || ::access(fmt::format("/sys/class/net/{}/bridge", name).c_str(), F_OK) == 0;
}

// A filter taken apart.
struct Filter {
  bool exclude = false;
  bool exact = false;
  std::vector<std::string_view> names;

  explicit Filter(std::string_view text) {
    exclude = text.starts_with('^');
    if (exclude) text.remove_prefix(1);
    exact = text.starts_with('=');
    if (exact) text.remove_prefix(1);
    while (!text.empty()) {
      const std::size_t comma = std::min(text.find(','), text.size());
      if (comma > 0) names.push_back(text.substr(0, comma));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
  }

  bool allows(std::string_view interface) const {
    const bool named = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return exact ? interface == name : interface.starts_with(name);
    });
    return named != exclude;
  }
};

std::string names_of(const std::vector<Interface>& interfaces) {
  std::vector<std::string_view> names;
  for (const Interface& one : interfaces) {
    if (std::find(names.begin(), names.end(), one.name) == names.end()) names.push_back(one.name);
  }
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

enum Class { kOrdinary, kBridge, kLinkLocal, kLoopback };

Class class_of(const Interface& one) {
  if (one.address.is_loopback()) return kLoopback;
  if (one.address.is_link_local()) return kLinkLocal;
  return one.bridge ? kBridge : kOrdinary;
}

}  // namespace

Result<std::vector<Interface>> local_interfaces() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return error(Code::unavailable, "cannot list the network interfaces: {}", errno_text(errno));
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<Interface> result;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    constexpr unsigned kUsable = IFF_UP | IFF_RUNNING;
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & kUsable) != kUsable) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const std::size_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    Interface& one = result.emplace_back();
    one.name = entry->ifa_name;
    one.address = SocketAddress(entry->ifa_addr, static_cast<socklen_t>(length));
    one.prefix_bits = count_prefix_bits(entry->ifa_netmask);
    one.bridge = is_bridge(one.name);
  }
  return result;
}

Result<std::vector<Interface>> filter_interfaces(const std::vector<Interface>& all,
                                                 std::string_view filter) {
  if (filter.empty()) return all;
  const Filter parsed(filter);
  std::vector<Interface> result;
  if (!parsed.names.empty()) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(result),
                 [&](const Interface& one) { return parsed.allows(one.name); });
  }
  if (result.empty()) {
    return error(Code::invalid_environment,
                 "TUTTI_SOCKET_IFNAME='{}' matches no network interface that is up; there are: {}. "
                 "Give names or prefixes separated by commas, with a leading ^ to exclude them or "
                 "= for exact names",
                 filter, names_of(all));
  }
  return result;
}

std::vector<Interface> best_first(std::vector<Interface> interfaces) {
  const bool ordinary = std::any_of(interfaces.begin(), interfaces.end(), [](const Interface& one) {
    return class_of(one) == kOrdinary;
  });
  if (ordinary) {
    std::erase_if(interfaces, [](const Interface& one) { return class_of(one) == kLinkLocal; });
  }
  std::stable_sort(interfaces.begin(), interfaces.end(),
                   [](const Interface& a, const Interface& b) {
                     if (class_of(a) != class_of(b)) return class_of(a) < class_of(b);
                     return a.address.family() == AF_INET && b.address.family() == AF_INET6;
                   });
  return interfaces;
}

bool same_subnet(const Interface& own, const SocketAddress& address) {
  if (own.address.family() != address.family() || own.prefix_bits == 0) return false;
  if (address.is_loopback() || address.is_link_local()) return false;
  const auto a = address_bytes(own.address.get());
  const auto b = address_bytes(address.get());
  int left = own.prefix_bits;
  for (std::size_t i = 0; i < a.size() && left > 0; ++i, left -= 8) {
    const unsigned mask = left >= 8 ? 0xffU : (0xffU << (8 - left)) & 0xffU;
    if (((std::to_integer<unsigned>(a[i]) ^ std::to_integer<unsigned>(b[i])) & mask) != 0) {
      return false;
    }
  }
  return true;
}

bool same_host_address(const SocketAddress& a, const SocketAddress& b) {
  if (a.family() != b.family()) return false;
  const auto x = address_bytes(a.get());
  const auto y = address_bytes(b.get());
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

}  // namespace tutti
