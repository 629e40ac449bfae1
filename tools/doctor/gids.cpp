// The addresses of RoCE ports. Only those of RoCE v2 are routed and may cross a switch's IP
// network; version 1 stays within one Ethernet segment, and many switches do not treat it as
// lossless.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/checks.h"
#include "doctor/rdma_ports.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kRoceV1 = "IB/RoCE v1";
constexpr std::string_view kRoceV2 = "RoCE v2";

struct Gid {
  std::string text;
  std::string type;  // one of these two
};

bool is_zero(std::string_view gid) {
  return gid.find_first_not_of("0:") == std::string_view::npos;
}

// "fe80:0000:0000:0000:ba3f:d2ff:fe00:0001"
bool is_gid(std::string_view text) {
  return text.size() == 39 && text.find_first_not_of("0123456789abcdef:") == std::string_view::npos;
}

// The entries of the table that are in use.
std::vector<Gid> gids_of(const Host& host, const RdmaPort& port, Outcome& outcome) {
  std::vector<Gid> gids;
  const Look<std::vector<std::string>> indices = host.list(port.folder + "/gids");
  if (!outcome.needs(indices)) return gids;
  for (const std::string& index : *indices) {
    const Look<std::string> gid = host.text(fmt::format("{}/gids/{}", port.folder, index));
    if (!outcome.needs(gid)) continue;
    if (!is_gid(*gid)) outcome.unseen.push_back(gid.path + ": " + in_quotes(*gid) + " is no GID");
    if (!is_gid(*gid) || is_zero(*gid)) continue;
    const Look<std::string> type =
        host.text(fmt::format("{}/gid_attrs/types/{}", port.folder, index));
    if (!outcome.needs(type)) continue;
    if (*type != kRoceV2 && *type != kRoceV1) {
      outcome.unseen.push_back(type.path + ": " + in_quotes(*type) + " is no type of a GID");
    }
    gids.push_back({*gid, *type});
  }
  return gids;
}

std::vector<RdmaPort> active_roce_ports(const Host& host, Outcome& outcome) {
  std::vector<RdmaPort> ports = rdma_ports(host, outcome);
  std::erase_if(ports, [](const RdmaPort& port) { return !port.active() || !port.ethernet; });
  const bool none = rdma_devices(host).value.value_or(std::vector<std::string>()).empty();
  outcome.nothing_here = none ? "no RDMA device" : "no RoCE port is active";
  return ports;
}

bool is_v2(const Gid& gid) {
  return gid.type == kRoceV2;
}

}  // namespace

Outcome check_roce_v1(const Host& host) {
  Outcome outcome;
  for (const RdmaPort& port : active_roce_ports(host, outcome)) {
    const std::size_t troubles = outcome.unseen.size();
    const std::vector<Gid> gids = gids_of(host, port, outcome);
    // Half a table proves nothing.
    if (outcome.unseen.size() != troubles) continue;
    outcome.looked_at.push_back(port.name());
    if (std::any_of(gids.begin(), gids.end(), is_v2)) continue;
    outcome.findings.push_back(
        {Severity::error, port.name(),
         gids.empty() ? std::string("has no GID at all: nothing can address it")
                      : fmt::format("has {} GIDs, none of them of RoCE v2: hosts in other subnets "
                                    "cannot reach it, and Tutti takes v2 only",
                                    gids.size()),
         gids.empty()
             ? "`ip link set` its interface up and give it an address (`rdma link` names it)"
             : fmt::format("`cma_roce_mode -d {} -p {} -m 2`, or a driver and firmware with RoCE "
                           "v2; TUTTI_RDMA_GID_INDEX forces a v1 GID",
                           port.device, port.port)});
  }
  return outcome;
}

Outcome check_roce_address(const Host& host) {
  Outcome outcome;
  for (const RdmaPort& port : active_roce_ports(host, outcome)) {
    const std::size_t troubles = outcome.unseen.size();
    std::vector<Gid> gids = gids_of(host, port, outcome);
    if (outcome.unseen.size() != troubles) continue;
    outcome.looked_at.push_back(port.name());
    std::erase_if(gids, [](const Gid& gid) { return !is_v2(gid); });
    const bool local_only = std::all_of(
        gids.begin(), gids.end(), [](const Gid& gid) { return gid.text.starts_with("fe80:"); });
    if (gids.empty() || !local_only) continue;
    outcome.findings.push_back(
        {Severity::warning, port.name(),
         "has link-local GIDs only: its interface has no IP address, so no router forwards its "
         "packets",
         fmt::format("give its interface an IPv4 address (`rdma link show {}/{}` names it)",
                     port.device, port.port)});
  }
  return outcome;
}

}  // namespace tutti::doctor
