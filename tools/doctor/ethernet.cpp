// Network interfaces: link, speed, MTU.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "doctor/checks.h"
#include "doctor/nics.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::int64_t kFastMbps = 10'000;
// RoCE packets of 4096 bytes with their headers; jumbo frames of every cloud are larger.
constexpr std::int64_t kJumboBytes = 4200;
constexpr std::int64_t kPlainBytes = 1500;

std::string mtu_text(const Nic& nic) {
  return fmt::format("{} {}", nic.name, *nic.mtu_bytes);
}

}  // namespace

// An interface that nobody brought up is a port that is not used, and no finding.
Outcome check_nic_link(const Host& host) {
  Outcome outcome;
  for (const Nic& nic : nics_of(host, outcome)) {
    outcome.looked_at.push_back(nic.name);
    if (!nic.up || nic.has_link) continue;
    outcome.findings.push_back(
        {Severity::warning, nic.name,
         "is up but has no link: its cable, its transceiver or the "
         "port of the switch is off",
         fmt::format("look at `ethtool {0}` and the cable; `ip link set {0} down` if the port is "
                     "not meant to be used",
                     nic.name)});
  }
  return outcome;
}

// Ports of one model that came up at different speeds: a cable or a transceiver, most often.
Outcome check_nic_speed(const Host& host) {
  Outcome outcome;
  std::map<std::string, std::vector<Nic>> models;
  for (const Nic& nic : nics_of(host, outcome)) {
    if (!nic.in_use() || !nic.speed_mbps) continue;
    outcome.looked_at.push_back(nic.name);
    if (!nic.model.empty()) models[nic.model].push_back(nic);
  }
  if (outcome.nothing_here.empty()) {
    outcome.nothing_here = "no NIC with a link says at what speed it runs";
  }
  for (const auto& [model, nics] : models) {
    const auto best = std::max_element(nics.begin(), nics.end(), [](const Nic& a, const Nic& b) {
      return a.speed_mbps < b.speed_mbps;
    });
    for (const Nic& nic : nics) {
      if (nic.speed_mbps == best->speed_mbps) continue;
      outcome.findings.push_back(
          {Severity::warning, nic.name,
           fmt::format("runs at {}, {} of the same model at {}", speed_text(*nic.speed_mbps),
                       best->name, speed_text(*best->speed_mbps)),
           fmt::format("compare `ethtool {}` with `ethtool {}`: cable, transceiver, switch port, "
                       "auto-negotiation",
                       nic.name, best->name)});
    }
  }
  return outcome;
}

// Ports of equal speed carry the lanes of one message; packets of the larger size vanish where
// the smaller one is configured. Where no speed is known, one may be there for management alone.
Outcome check_mtu_mix(const Host& host) {
  Outcome outcome;
  std::map<std::int64_t, std::vector<Nic>> speeds;  // 0: unknown
  for (const Nic& nic : nics_of(host, outcome)) {
    if (!nic.ethernet || !nic.in_use() || !nic.mtu_bytes) continue;
    outcome.looked_at.push_back(nic.name);
    speeds[nic.speed_mbps.value_or(0)].push_back(nic);
  }
  if (outcome.nothing_here.empty()) outcome.nothing_here = "no Ethernet NIC has a link";
  for (const auto& [speed, nics] : speeds) {
    const auto [least, most] =
        std::minmax_element(nics.begin(), nics.end(),
                            [](const Nic& a, const Nic& b) { return a.mtu_bytes < b.mtu_bytes; });
    if (least->mtu_bytes == most->mtu_bytes) continue;
    std::vector<std::string> all;
    for (const Nic& nic : nics) all.push_back(mtu_text(nic));
    outcome.findings.push_back(
        {speed == 0 ? Severity::note : Severity::warning, least->name,
         fmt::format("has an MTU of {} bytes, {} one of {}, at {}: {}", *least->mtu_bytes,
                     most->name, *most->mtu_bytes, speed == 0 ? "unknown speed" : speed_text(speed),
                     some_of(all)),
         fmt::format("one MTU for all of them and their switch ports: `ip link set {} mtu {}`",
                     least->name, *most->mtu_bytes)});
  }
  return outcome;
}

Outcome check_mtu_jumbo(const Host& host) {
  Outcome outcome;
  for (const Nic& nic : nics_of(host, outcome)) {
    const bool fast = nic.speed_mbps.value_or(0) >= kFastMbps || !nic.rdma_device.empty();
    if (!nic.ethernet || !nic.in_use() || !nic.mtu_bytes || !fast) continue;
    outcome.looked_at.push_back(nic.name);
    if (*nic.mtu_bytes >= kJumboBytes) continue;
    const std::string speed = nic.speed_mbps ? speed_text(*nic.speed_mbps) : "unknown speed";
    const std::string effect =
        nic.rdma_device.empty()
            ? "each packet costs the CPU the same, large or small"
            : fmt::format("RoCE of {} then carries {} bytes per packet instead of 4096",
                          nic.rdma_device,
                          *nic.mtu_bytes > 2200                 ? 2048
                          : *nic.mtu_bytes >= kPlainBytes - 400 ? 1024
                                                                : 512);
    outcome.findings.push_back(
        {Severity::warning, nic.name,
         fmt::format("has an MTU of {} bytes at {}: {}", *nic.mtu_bytes, speed, effect),
         fmt::format("`ip link set {} mtu 9000` on all hosts, and no less on the switches between "
                     "them",
                     nic.name)});
  }
  if (outcome.nothing_here.empty()) {
    outcome.nothing_here = "no Ethernet NIC with a link has RDMA, or says that it has 10 Gb/s";
  }
  return outcome;
}

}  // namespace tutti::doctor
