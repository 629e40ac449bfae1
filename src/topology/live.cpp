#include "topology/live.h"

#include <algorithm>

#include "base/error.h"
#include "base/try.h"
#include "topology/build.h"
#include "topology/live_loader.h"
#include "topology/nvml.h"

namespace tutti::topology {

Result<Graph> load_live(const LiveSources& sources) {
  return LiveLoader(sources).load();
}

std::vector<int> allowed_cpus(const std::string& root) {
  constexpr std::string_view kKey = "\nCpus_allowed_list:";
  const std::string status = Sysfs(root).text("proc/self/status");
  const std::size_t key = status.find(kKey);
  if (key == std::string::npos) {
    return {};
  }
  const std::size_t value = status.find_first_not_of(" \t", key + kKey.size());
  return value == std::string::npos ? std::vector<int>()
                                    : numbers_of_list(std::string_view(status).substr(
                                          value, status.find('\n', value) - value));
}

Result<Graph> LiveLoader::load() {
  if (!sysfs_.exists("sys")) {
    return error(Code::unavailable,
                 "{}: there is no folder sys; the root must hold sys, and proc if CPU models are "
                 "wanted",
                 sources_.root);
  }
  Node root{.kind = NodeKind::machine, .name = "machine"};
  set_attribute(root, {"hostname", sysfs_.line("proc/sys/kernel/hostname"), kSysfsSource});
  set_attribute(root, {"product", sysfs_.line("sys/class/dmi/id/product_name"), kSysfsSource});
  add_node(graph_, std::move(root));
  load_processors();
  load_pci();
  load_network();
  note_what_is_missing();
  TUTTI_TRY(finish(graph_));
  return std::move(graph_);
}

void LiveLoader::note_what_is_missing() {
  const auto note = [&](const char* text) { graph_.notes.emplace_back(text); };
  if (numas_.empty()) {
    note("no NUMA nodes: sys/devices/system/node is not there; as one memory for all CPUs");
  }
  if (!sysfs_.exists("sys/bus/pci/devices")) {
    note("no PCI: sys/bus/pci is not there, as in some containers and virtual machines");
  }
  const std::vector<NodeId> gpus = of_kind(graph_, NodeKind::gpu);
  const bool nvidia = std::any_of(
      gpus.begin(), gpus.end(), [&](NodeId id) { return value_of(at(id), "vendor") == "0x10de"; });
  if (gpus.empty()) {
    note(
        "no GPU: no PCI device of NVIDIA or AMD is a display or accelerator; NVLink was not looked "
        "at");
  } else if (nvidia && sources_.nvml.empty()) {
    note("NVLink was not looked at: NVML tells of this machine, not of another root");
  } else if (nvidia) {
    add_nvml(graph_, sources_.nvml);
  }
  if (sysfs_.names("sys/class/infiniband").empty()) {
    note(
        "no RDMA device: sys/class/infiniband is empty or not there; the driver of the NIC, or "
        "rdma_rxe for tests, makes one");
  }
}

}  // namespace tutti::topology
