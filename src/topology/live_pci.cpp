#include <fmt/format.h>

#include <charconv>

#include "topology/build.h"
#include "topology/live_loader.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

const std::filesystem::path kPciDevices = "sys/bus/pci/devices";
constexpr std::string_view kNvidiaId = "0x10de";

NodeKind kind_of(const Node& node) {
  const std::string_view pci_class = value_of(node, "class");
  const std::string_view vendor = value_of(node, "vendor");
  if (is_gpu_vendor(vendor) && is_gpu_class(pci_class)) {
    return NodeKind::gpu;
  }
  if (vendor == kNvidiaId && pci_class.starts_with("0x0680")) {
    return NodeKind::nvswitch;
  }
  return is_nic_class(pci_class) ? NodeKind::nic : NodeKind::pci_device;
}

// "Model: \t\t NVIDIA H100 80GB HBM3" of the NVIDIA driver's file about a GPU.
std::string model_of(std::string_view text) {
  constexpr std::string_view kKey = "Model:";
  const std::size_t at = text.find(kKey);
  if (at == std::string_view::npos) {
    return {};
  }
  std::string_view line = text.substr(at + kKey.size());
  line = line.substr(0, line.find('\n'));
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return std::string(line);
}

}  // namespace

// -1 is the kernel's word for unknown; with one node there is no doubt.
NodeId LiveLoader::numa_of_device(const std::filesystem::path& device) const {
  int index = -1;
  const std::string text = sysfs_.line(device / "numa_node");
  std::from_chars(text.data(), text.data() + text.size(), index);
  if (const auto numa = numas_.find(index); numa != numas_.end()) {
    return numa->second;
  }
  if (numas_.size() == 1) {
    return numas_.begin()->second;
  }
  return packages_.size() == 1 ? packages_.begin()->second : 0;
}

Node LiveLoader::pci_node(const std::string& id) const {
  const std::filesystem::path device = kPciDevices / id;
  Node node{.bus_id = id};
  for (const auto& [attribute, file] :
       {std::pair("class", "class"), std::pair("vendor", "vendor"), std::pair("device", "device"),
        std::pair("subsystem_vendor", "subsystem_vendor"),
        std::pair("subsystem_device", "subsystem_device"),
        std::pair("link_speed", "current_link_speed"),
        std::pair("link_width", "current_link_width"),
        std::pair("link_speed_max", "max_link_speed"),
        std::pair("link_width_max", "max_link_width")}) {
    std::string value = sysfs_.line(device / file);
    const bool unknown = value.starts_with("Unknown") || value == "255" || value == "0";
    set_attribute(node, {attribute, unknown ? std::string() : std::move(value), kSysfsSource});
  }
  return node;
}

// Adds what leads to the last device of the chain and returns what that hangs from. The first
// bridge is a root port, the second the upstream port of a switch, the third its downstream port,
// and so on.
NodeId LiveLoader::place_of_chain(const std::vector<std::string>& chain,
                                  const std::string& bridge) {
  const auto [host, is_new] = pci_.try_emplace(bridge, kNoNode);
  if (is_new) {
    const NodeId numa = numa_of_device(kPciDevices / chain.back());
    host->second =
        add_child(graph_, {.kind = NodeKind::host_bridge, .parent = numa, .name = "bridge"});
  }
  NodeId parent = host->second;
  for (std::size_t i = 1; i + 1 < chain.size(); i += 2) {
    const auto [known, is_new_switch] = pci_.try_emplace(chain[i], kNoNode);
    if (is_new_switch) {
      Node node = pci_node(chain[i]);
      node.kind = NodeKind::pci_switch;
      node.parent = parent;
      Link up = pcie_up(node, kSysfsSource);
      known->second = add_child(graph_, std::move(node), std::move(up));
    }
    parent = known->second;
  }
  return parent;
}

NodeId LiveLoader::add_pci(const std::string& id, NodeKind kind) {
  std::string bridge;
  const std::vector<std::string> chain = sysfs_.pci_chain(kPciDevices / id, bridge);
  Node node = pci_node(id);
  node.kind = kind;
  node.parent = chain.empty() ? numa_of_device(kPciDevices / id) : place_of_chain(chain, bridge);
  // A device goes no faster than the port that it is plugged into.
  if (chain.size() > 1) {
    const std::string port = sysfs_.line(kPciDevices / chain[chain.size() - 2] / "max_link_speed");
    const double at_most = gigatransfers(port);
    if (at_most > 0 && at_most < gigatransfers(value_of(node, "link_speed_max"))) {
      set_attribute(node, {"link_speed_max", port, kSysfsSource, "of the port above"});
    }
  }
  if (kind == NodeKind::gpu) {
    const std::string info = sysfs_.text(fmt::format("proc/driver/nvidia/gpus/{}/information", id));
    set_attribute(node, {"model", model_of(info), kSysfsSource});
  }
  Link up = pcie_up(node, kSysfsSource);
  const NodeId added = add_child(graph_, std::move(node), std::move(up));
  pci_[id] = added;
  return added;
}

void LiveLoader::load_pci() {
  for (const std::string& id : sysfs_.names(kPciDevices)) {
    if (bus_id(id) != id) {
      continue;
    }
    const NodeKind kind = kind_of(pci_node(id));
    if (kind != NodeKind::pci_device) {
      add_pci(id, kind);
    }
  }
}

}  // namespace tutti::topology
