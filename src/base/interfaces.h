// The network interfaces of this host: which there are, which the user allows, which to try first.
// Values and pure functions; only local_interfaces() asks the kernel. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/socket.h"
#include "tutti/status.h"

namespace tutti {

// One address of one interface.
struct Interface {
  std::string name;
  SocketAddress address;  // port 0
  int prefix_bits = 0;    // of the subnet
  bool bridge = false;    // leads, most likely, to containers or virtual machines of this host only
};

// Every IPv4 and IPv6 address of the interfaces that are up and running, in the kernel's order.
Result<std::vector<Interface>> local_interfaces();

// Those that `filter` allows, in the same order. The filter is Config::socket_ifname: names or
// prefixes separated by commas ("eth,ib0"); a leading ^ excludes instead ("^docker,lo"), a leading
// = demands exact names ("=eth0"), ^= excludes exact names. As NCCL_SOCKET_IFNAME.
// invalid_environment, with the names there are, when a filter leaves nothing.
Result<std::vector<Interface>> filter_interfaces(const std::vector<Interface>& all,
                                                 std::string_view filter);

// Best first: ordinary addresses, then bridges, then link-local addresses (kept only when there is
// no address that needs no scope, loopback aside), then loopback. IPv4 goes before IPv6 among
// equals.
std::vector<Interface> best_first(std::vector<Interface> interfaces);

// True when `address` is in the interface's subnet. Loopback and link-local subnets do not count:
// every host has the same ones.
bool same_subnet(const Interface& own, const SocketAddress& address);

// True when both name the same host address, whatever their ports.
bool same_host_address(const SocketAddress& a, const SocketAddress& b);

}  // namespace tutti
