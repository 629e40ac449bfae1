// Can RDMA NICs reach the memory of the GPUs? Either a module hands its pages to the RDMA stack
// (nvidia-peermem, amdgpu's memory peers), or the driver exports them as DMA buffers.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/checks.h"
#include "doctor/pci.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr const char* kNvidiaVersion = "/proc/driver/nvidia/version";

bool nvidia_peer_module(const Host& host) {
  return host.exists("/sys/module/nvidia_peermem") || host.exists("/sys/module/nv_peer_mem");
}

void look_at_nvidia(const Host& host, Outcome& outcome) {
  const Look<std::string> version = host.text(kNvidiaVersion);
  if (version.absent()) {
    outcome.unseen.push_back(
        fmt::format("{}: no such file: NVIDIA's driver is not loaded, or hidden from this "
                    "container",
                    kNvidiaVersion));
    return;
  }
  if (!outcome.has(version)) return;
  if (version->find("NVRM version") == std::string::npos) {
    outcome.unseen.push_back(fmt::format("{}: {} is no version of NVIDIA's driver", kNvidiaVersion,
                                         in_quotes(*version)));
    return;
  }
  outcome.looked_at.emplace_back("NVIDIA GPUs");
  // The open modules export DMA buffers; those without the word cannot.
  const bool open_module = version->find("Open Kernel Module") != std::string::npos;
  if (open_module || nvidia_peer_module(host)) return;
  outcome.findings.push_back(
      {Severity::warning, "NVIDIA GPUs",
       "neither the module nvidia_peermem nor a driver that exports DMA buffers is loaded: all "
       "data between GPUs and NICs takes a detour through the host's memory",
       "`modprobe nvidia-peermem`, for good in /etc/modules-load.d; or NVIDIA's open kernel "
       "modules"});
}

// Either the out-of-tree module's registration, or a kernel that can move DMA buffers.
void look_at_amd(const Host& host, Outcome& outcome) {
  if (host.exists("/sys/kernel/mm/memory_peers/amdkfd") ||
      host.exists("/sys/memory_peers/amdkfd")) {
    outcome.looked_at.emplace_back("AMD GPUs");
    return;
  }
  const Look<std::string> release = host.text("/proc/sys/kernel/osrelease");
  if (!outcome.needs(release)) return;
  const Look<std::string> config = host.text("/boot/config-" + *release);
  if (!outcome.needs(config)) return;
  outcome.looked_at.emplace_back("AMD GPUs");
  const auto options = lines(*config);
  std::vector<std::string> missing;
  for (const std::string_view option : {"CONFIG_DMABUF_MOVE_NOTIFY=y", "CONFIG_PCI_P2PDMA=y"}) {
    if (std::find(options.begin(), options.end(), option) == options.end()) {
      missing.emplace_back(option);
    }
  }
  if (missing.empty()) return;
  outcome.findings.push_back(
      {Severity::warning, "AMD GPUs",
       fmt::format("the kernel was built without {}, and no module registers their memory with "
                   "RDMA: data between GPUs and NICs takes a detour through the host's memory",
                   some_of(missing)),
       "a kernel with these options, or the amdgpu-dkms package"});
}

}  // namespace

Outcome check_gpu_direct(const Host& host) {
  Outcome outcome;
  const std::vector<PciDevice> devices = gpus_and_nics(host, outcome);
  const auto has = [&](auto&& property) {
    return std::any_of(devices.begin(), devices.end(), property);
  };
  const bool rdma = has([](const PciDevice& device) { return device.rdma; });
  const bool nvidia =
      has([](const PciDevice& device) { return device.is_gpu() && device.vendor == kNvidia; });
  const bool amd =
      has([](const PciDevice& device) { return device.is_gpu() && device.vendor == kAmd; });
  outcome.nothing_here = "no GPU with an RDMA NIC beside it";
  if (rdma && nvidia) look_at_nvidia(host, outcome);
  if (rdma && amd) look_at_amd(host, outcome);
  return outcome;
}

}  // namespace tutti::doctor
