// Ports of RDMA devices: state, rate, stability, firmware.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "doctor/checks.h"
#include "doctor/rdma_ports.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::int64_t kFlapsMax = 10;

std::string remedy_of(const RdmaPort& port, const std::string& physical) {
  if (port.infiniband && (port.state == "INIT" || port.state == "ARMED")) {
    return "no subnet manager set it up: `sminfo` finds one; start opensm on a host or on the "
           "switch";
  }
  if (physical == "Disabled") {
    return fmt::format(
        "`ip link set` its interface up (`rdma link show {}/{}` names it), or "
        "`ibportstate` enable",
        port.device, port.port);
  }
  return fmt::format("look at the cable and the port of the switch (`rdma link show {}/{}`)",
                     port.device, port.port);
}

}  // namespace

Outcome check_rdma_port(const Host& host) {
  Outcome outcome;
  for (const RdmaPort& port : rdma_ports(host, outcome)) {
    outcome.looked_at.push_back(port.name());
    if (port.active()) continue;
    const Look<std::string> file = host.text(port.folder + "/phys_state");
    const std::string physical =
        file.there() ? state_word(*file).value_or("unknown") : std::string("unknown");
    outcome.findings.push_back(
        {Severity::warning, port.name(),
         fmt::format("is {} (physical state {}): nothing can be sent through it",
                     in_quotes(port.state), in_quotes(physical)),
         remedy_of(port, physical)});
  }
  return outcome;
}

// Ports of one model and one link layer at a lower rate than the best of them; InfiniBand with one
// of four lanes.
Outcome check_rdma_rate(const Host& host) {
  struct Rate {
    std::string port;
    double gbps;
    std::string text;  // "200 Gb/sec (4X HDR)"
    bool one_lane;
  };
  Outcome outcome;
  std::map<std::string, std::vector<Rate>> models;
  for (const RdmaPort& port : rdma_ports(host, outcome)) {
    if (!port.active()) continue;
    const Look<std::string> text = host.text(port.folder + "/rate");
    if (!outcome.needs(text)) continue;
    const auto gbps = leading_number(*text);
    if (!gbps) {
      outcome.unseen.push_back(text.path + ": " + in_quotes(*text) + " is no rate");
      continue;
    }
    outcome.looked_at.push_back(port.name());
    const bool one_lane = port.infiniband && text->find("(1X") != std::string::npos;
    models[port.model + (port.ethernet ? " Ethernet" : "")].push_back(
        {port.name(), *gbps, *text, one_lane});
  }
  if (outcome.looked_at.empty() && outcome.nothing_here.empty()) {
    outcome.nothing_here = "no RDMA port is active";
  }
  for (const auto& [model, rates] : models) {
    const auto best = std::max_element(rates.begin(), rates.end(),
                                       [](auto& a, auto& b) { return a.gbps < b.gbps; });
    for (const Rate& rate : rates) {
      if (rate.gbps >= best->gbps && !rate.one_lane) continue;
      outcome.findings.push_back(
          {Severity::warning, rate.port,
           rate.gbps < best->gbps
               ? fmt::format("runs at {}, {} of the same model at {}", in_quotes(rate.text),
                             best->port, in_quotes(best->text))
               : fmt::format("runs at {}: one lane of the cable's four", in_quotes(rate.text)),
           "reseat or replace the cable and the transceiver; `mlxlink` and `iblinkinfo` show "
           "what each end can do"});
    }
  }
  return outcome;
}

// The counter starts with the driver. A link that goes down and comes back stalls every rank.
Outcome check_rdma_flaps(const Host& host) {
  Outcome outcome;
  for (const RdmaPort& port : rdma_ports(host, outcome)) {
    const Look<std::string> text = host.text(port.folder + "/counters/link_downed");
    // Soft-RoCE has no such counter, and some ports say "N/A (no PMA)".
    if (!outcome.has(text) || text->starts_with("N/A")) continue;
    const auto times = parse_number(*text);
    if (!times) {
      outcome.unseen.push_back(text.path + ": " + in_quotes(*text) + " is no number");
      continue;
    }
    outcome.looked_at.push_back(port.name());
    if (*times <= kFlapsMax) continue;
    outcome.findings.push_back(
        {Severity::warning, port.name(),
         fmt::format("lost its link {} times since its driver started", *times),
         "replace the cable or the transceiver; `dmesg | grep -i link` tells when it happened"});
  }
  const Look<std::vector<std::string>> devices = rdma_devices(host);
  if (devices.there() && !devices->empty()) {
    outcome.nothing_here = "no RDMA port counts lost links";
  }
  return outcome;
}

Outcome check_rdma_firmware(const Host& host) {
  Outcome outcome;
  std::map<std::string, std::map<std::string, std::vector<std::string>>> models;
  std::set<std::string> seen;
  for (const RdmaPort& port : rdma_ports(host, outcome)) {
    if (!seen.insert(port.device).second) continue;
    const Look<std::string> version =
        host.text(fmt::format("{}/{}/fw_ver", kRdmaClass, port.device));
    if (!outcome.has(version)) continue;
    outcome.looked_at.push_back(port.device);
    models[port.model][*version].push_back(port.device);
  }
  const Look<std::vector<std::string>> devices = rdma_devices(host);
  if (devices.there() && !devices->empty()) {
    outcome.nothing_here = "no RDMA device names its firmware";
  }
  for (const auto& [model, versions] : models) {
    if (versions.size() < 2) continue;
    std::vector<std::string> each;
    for (const auto& [version, names] : versions) {
      each.push_back(fmt::format("{} on {}", in_quotes(version), some_of(names)));
    }
    outcome.findings.push_back({Severity::note, in_quotes(model),
                                "devices of one model run different firmware: " + some_of(each),
                                "the same version on all: mlxfwmanager, or the vendor's tool"});
  }
  return outcome;
}

}  // namespace tutti::doctor
