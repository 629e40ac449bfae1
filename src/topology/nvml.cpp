#include "topology/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>

#include "topology/build.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

constexpr const char* kNvmlSource = "nvml";
constexpr unsigned kNvLinksMax = 18;
constexpr std::size_t kTextBytes = 96;

// As nvml.h has them; the ABI of these names does not change.
using Device = struct NvmlDevice*;
struct PciInfo {
  std::array<char, 16> bus_id_legacy;
  unsigned domain, bus, device, pci_device, pci_subsystem;
  std::array<char, 32> bus_id;
};
enum RemoteType : unsigned { kRemoteGpu = 0, kRemoteNpu = 1, kRemoteSwitch = 2 };

struct Closer {
  void operator()(void* library) const { dlclose(library); }
};

// The functions that are needed, null where the library lacks one.
struct Nvml {
  std::unique_ptr<void, Closer> library;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, Device*) = nullptr;
  int (*pci_info)(Device, PciInfo*) = nullptr;
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*uuid)(Device, char*, unsigned) = nullptr;
  int (*capability)(Device, int*, int*) = nullptr;
  int (*link_state)(Device, unsigned, unsigned*) = nullptr;
  int (*link_version)(Device, unsigned, unsigned*) = nullptr;
  int (*link_remote)(Device, unsigned, PciInfo*) = nullptr;
  int (*link_remote_type)(Device, unsigned, unsigned*) = nullptr;  // since driver 510

  bool complete() const {
    return init && shutdown && error_string && count && handle && pci_info && name && uuid &&
           capability && link_state && link_version && link_remote;
  }
};

template <typename Function>
void bind(const Nvml& nvml, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(nvml.library.get(), symbol));
}

Nvml open_nvml(const std::string& library) {
  Nvml nvml;
  nvml.library.reset(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (nvml.library) {
    bind(nvml, "nvmlInit_v2", nvml.init);
    bind(nvml, "nvmlShutdown", nvml.shutdown);
    bind(nvml, "nvmlErrorString", nvml.error_string);
    bind(nvml, "nvmlDeviceGetCount_v2", nvml.count);
    bind(nvml, "nvmlDeviceGetHandleByIndex_v2", nvml.handle);
    bind(nvml, "nvmlDeviceGetPciInfo_v3", nvml.pci_info);
    bind(nvml, "nvmlDeviceGetName", nvml.name);
    bind(nvml, "nvmlDeviceGetUUID", nvml.uuid);
    bind(nvml, "nvmlDeviceGetCudaComputeCapability", nvml.capability);
    bind(nvml, "nvmlDeviceGetNvLinkState", nvml.link_state);
    bind(nvml, "nvmlDeviceGetNvLinkVersion", nvml.link_version);
    bind(nvml, "nvmlDeviceGetNvLinkRemotePciInfo_v2", nvml.link_remote);
    bind(nvml, "nvmlDeviceGetNvLinkRemoteDeviceType", nvml.link_remote_type);
  }
  return nvml;
}

std::string bus_id_of(const PciInfo& pci) {
  return fmt::format("{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device);
}

class NvmlReader {
 public:
  NvmlReader(Graph& graph, const Nvml& nvml) : graph_(graph), nvml_(nvml) {}

  void read() {
    unsigned count = 0;
    nvml_.count(&count);
    for (unsigned i = 0; i < count; ++i) {
      Device device = nullptr;
      PciInfo pci{};
      if (nvml_.handle(i, &device) != 0 || nvml_.pci_info(device, &pci) != 0) {
        graph_.notes.push_back(fmt::format("NVML does not answer for its GPU {}", i));
        continue;
      }
      const NodeId gpu = find(graph_, bus_id_of(pci));
      if (gpu == kNoNode || node(gpu).kind != NodeKind::gpu) {
        graph_.notes.push_back(
            fmt::format("NVML has a GPU {} that sysfs does not show", bus_id_of(pci)));
        continue;
      }
      read_gpu(device, gpu);
    }
    add_links();
  }

 private:
  struct Bundle {
    int count = 0;
    double bandwidth = 0;
  };

  Node& node(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }

  void read_gpu(Device device, NodeId gpu) {
    std::array<char, kTextBytes> text{};
    if (nvml_.name(device, text.data(), kTextBytes - 1) == 0) {
      set_attribute(node(gpu), {"model", text.data(), kNvmlSource});
    }
    text = {};
    if (nvml_.uuid(device, text.data(), kTextBytes - 1) == 0) {
      set_attribute(node(gpu), {"uuid", text.data(), kNvmlSource});
    }
    int major = 0;
    int minor = 0;
    if (nvml_.capability(device, &major, &minor) == 0) {
      set_attribute(node(gpu), {"sm", fmt::format("{}", 10 * major + minor), kNvmlSource});
    }
    for (unsigned link = 0; link < kNvLinksMax; ++link) {
      read_link(device, gpu, link);
    }
  }

  void read_link(Device device, NodeId gpu, unsigned link) {
    unsigned active = 0;
    unsigned version = 0;
    PciInfo remote{};
    if (nvml_.link_state(device, link, &active) != 0 || active == 0 ||
        nvml_.link_version(device, link, &version) != 0 ||
        nvml_.link_remote(device, link, &remote) != 0) {
      return;
    }
    set_attribute(node(gpu), {"nvlink_version", fmt::format("{}", version), kNvmlSource});
    unsigned type = kRemoteGpu;
    if (nvml_.link_remote_type) {
      nvml_.link_remote_type(device, link, &type);
    }
    NodeId to = find(graph_, bus_id_of(remote));
    if (type == kRemoteNpu) {
      to = above(graph_, gpu, NodeKind::numa);
    } else if (to == kNoNode && type == kRemoteSwitch) {
      to =
          add_child(graph_, {.kind = NodeKind::nvswitch, .parent = 0, .bus_id = bus_id_of(remote)});
    }
    if (to == kNoNode || to == gpu) {
      graph_.notes.push_back(fmt::format("NVLink {} of {} ends at {}, which sysfs does not show",
                                         link, node(gpu).bus_id, bus_id_of(remote)));
      return;
    }
    // Both ends of a link between GPUs report it: the lower one counts.
    if (node(to).kind != NodeKind::gpu || gpu < to) {
      Bundle& bundle = bundles_[{gpu, to}];
      ++bundle.count;
      bundle.bandwidth += nvlink_bandwidth(static_cast<int>(version));
    }
  }

  void add_links() {
    for (const auto& [ends, bundle] : bundles_) {
      add_link(graph_, {.a = ends.first,
                        .b = ends.second,
                        .kind = LinkKind::nvlink,
                        .count = bundle.count,
                        .bandwidth = bundle.bandwidth,
                        .latency_s = default_latency_s(LinkKind::nvlink),
                        .source = kNvmlSource});
    }
  }

  Graph& graph_;
  const Nvml& nvml_;
  std::map<std::pair<NodeId, NodeId>, Bundle> bundles_;
};

}  // namespace

void add_nvml(Graph& graph, const std::string& library) {
  const Nvml nvml = open_nvml(library);
  if (!nvml.library) {
    const char* const reason = dlerror();
    graph.notes.push_back(fmt::format("NVLink was not looked at: NVML cannot be loaded: {}",
                                      reason ? reason : library));
    return;
  }
  if (!nvml.complete()) {
    graph.notes.push_back(fmt::format(
        "NVLink was not looked at: {} lacks functions; the driver is older than 450", library));
    return;
  }
  if (const int failure = nvml.init(); failure != 0) {
    graph.notes.push_back(
        fmt::format("NVLink was not looked at: NVML says: {}", nvml.error_string(failure)));
    return;
  }
  NvmlReader(graph, nvml).read();
  nvml.shutdown();
}

}  // namespace tutti::topology
