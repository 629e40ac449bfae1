// Which entry of a port's GID table a rail uses, and GIDs as text. Pure functions; thread-safe.
//
// A RoCE port has an entry per address of its network interface and per version of RoCE. Only
// version 2 (UDP) can be routed, and both ends must speak the same one.
#pragma once

#include <infiniband/verbs.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tutti/status.h"

namespace tutti::transport::rdma {

// Chooses from the valid entries of one port. `wanted` is Config::rdma_gid_index: -1 asks for the
// rule. InfiniBand: entry 0. RoCE: version 2 with an IPv4-mapped address, else with a global IPv6
// address, else with a link-local one; the lowest index among equals. `where` is for messages:
// "mlx5_0 port 1". invalid_environment when the wanted entry is not there or empty, unavailable
// when the rule finds none; both list the entries that there are.
Result<ibv_gid_entry> choose_gid(std::span<const ibv_gid_entry> entries, bool infiniband,
                                 int wanted, std::string_view where);

// As an IPv6 address: "::ffff:10.0.0.1", "fe80::1".
std::string gid_text(const ibv_gid& gid);

// The IPv4 address that is mapped into the GID, if one is.
std::optional<std::string> ipv4_of(const ibv_gid& gid);

}  // namespace tutti::transport::rdma
