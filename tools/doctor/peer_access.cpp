// What stands between devices that would write into each other's memory: GPU to GPU, NIC to GPU.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "doctor/checks.h"
#include "doctor/pci.h"
#include "doctor/pci_config.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

// GPUs and RDMA NICs.
std::vector<PciDevice> peers(const Host& host, Outcome& outcome) {
  std::vector<PciDevice> devices = gpus_and_nics(host, outcome);
  std::erase_if(devices, [](const PciDevice& device) { return !device.is_peer(); });
  return devices;
}

}  // namespace

// Access Control Services send what one device writes to another up to the root complex, so that
// an IOMMU may look at it: about half the bandwidth, or a hang where it is not let through.
Outcome check_acs(const Host& host) {
  Outcome outcome;
  const std::vector<PciDevice> devices = peers(host, outcome);
  const auto gpus = std::count_if(devices.begin(), devices.end(),
                                  [](const PciDevice& device) { return device.is_gpu(); });
  if (gpus == 0 || devices.size() < 2) {
    outcome.nothing_here = "no GPU with another GPU or an RDMA NIC: no peers behind bridges";
    return outcome;
  }
  std::set<std::string> bridges;
  for (const PciDevice& device : devices) {
    bridges.insert(device.bridges.begin(), device.bridges.end());
  }
  std::vector<std::string> redirecting;
  for (const std::string& bridge : bridges) {
    const Look<std::string> config = host.bytes(pci_folder(bridge) + "/config");
    if (!outcome.needs(config)) continue;
    if (config->size() <= kExtendedConfig) {
      outcome.unseen.push_back(
          fmt::format("{}: only {} bytes are readable; run as root", config.path, config->size()));
      continue;
    }
    outcome.looked_at.push_back("bridge " + bridge);
    const auto acs = acs_control(*config);
    if (acs && acs->redirects()) redirecting.push_back(bridge);
  }
  if (bridges.empty()) {
    outcome.nothing_here = "no bridge above the GPUs is visible (a virtual machine hides them)";
  }
  if (!redirecting.empty()) {
    outcome.findings.push_back(
        {Severity::warning, some_of(redirecting),
         fmt::format("ACS of {} of {} bridges above GPUs and NICs sends what devices write to each "
                     "other up to the root: half the bandwidth, or a hang",
                     redirecting.size(), outcome.looked_at.size()),
         "switch ACS off in the firmware's set-up, or `setpci -s BRIDGE ECAP_ACS+6.w=0000` at each "
         "start; not in a host that hands devices to virtual machines"});
  }
  return outcome;
}

// The IOMMU translates each address that a device uses; "identity" (iommu=pt) lets them pass.
Outcome check_iommu(const Host& host) {
  Outcome outcome;
  const std::vector<PciDevice> devices = peers(host, outcome);
  const bool rdma = std::any_of(devices.begin(), devices.end(),
                                [](const PciDevice& device) { return device.rdma; });
  // What a lone GPU exchanges with the host's memory, its driver sets up to pass quickly.
  if (!rdma && devices.size() < 2) {
    outcome.nothing_here = "no RDMA NIC and no two GPUs on a PCI bus";
    return outcome;
  }
  outcome.nothing_here = "no IOMMU is on for the GPUs and RDMA NICs";
  std::vector<std::string> translated;
  for (const PciDevice& device : devices) {
    const Look<std::string> type = host.text(device.folder + "/iommu_group/type");
    if (!outcome.has(type)) continue;
    // "unmanaged" belongs to a virtual machine that has the device; its own IOMMU decides.
    constexpr std::array<std::string_view, 5> kTypes = {"identity", "DMA", "DMA-FQ", "unmanaged",
                                                        "blocked"};
    if (std::find(kTypes.begin(), kTypes.end(), *type) == kTypes.end()) {
      outcome.unseen.push_back(type.path + ": " + in_quotes(*type) + " is no type of a group");
      continue;
    }
    outcome.looked_at.push_back(device.name);
    if (type->starts_with("DMA")) translated.push_back(device.name);
  }
  if (!translated.empty()) {
    outcome.findings.push_back(
        {Severity::warning, some_of(translated),
         fmt::format("the IOMMU translates the addresses of {} of {} GPUs and RDMA NICs: peer "
                     "access is slow, or fails",
                     translated.size(), outcome.looked_at.size()),
         "iommu=pt on the kernel's command line; if peer access still fails, switch the IOMMU off "
         "in the firmware's set-up"});
  }
  return outcome;
}

}  // namespace tutti::doctor
