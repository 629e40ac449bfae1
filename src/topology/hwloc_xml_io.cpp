// The I/O part of hwloc's XML: bridges, PCI devices, and the system's devices on them.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/try.h"
#include "topology/build.h"
#include "topology/hwloc_loader.h"
#include "topology/rates.h"

namespace tutti::topology {
namespace {

constexpr int kPortsMax = 64;
constexpr std::string_view kNvswitchVendor = "0x10de";

enum class SystemDevice : std::uint8_t { other, network, rdma, gpu };

SystemDevice system_device(pugi::xml_node object) {
  const std::string_view type = object.attribute("osdev_type").value();
  if (!is_type(object, "OSDev")) {
    return SystemDevice::other;
  }
  if (type == "2") {
    return SystemDevice::network;
  }
  if (type == "3") {
    return SystemDevice::rdma;
  }
  const std::string_view name = object.attribute("name").value();
  const bool gpu = name.starts_with("cuda") || name.starts_with("nvml") ||
                   name.starts_with("rsmi") || name.starts_with("ze");
  return gpu ? SystemDevice::gpu : SystemDevice::other;
}

bool has_network(pugi::xml_node device) {
  return std::any_of(device.begin(), device.end(), [](pugi::xml_node child) {
    const SystemDevice kind = system_device(child);
    return kind == SystemDevice::network || kind == SystemDevice::rdma;
  });
}

NodeKind kind_of(pugi::xml_node device, const Node& node) {
  const std::string_view pci_class = value_of(node, "class");
  const std::string_view vendor = value_of(node, "vendor");
  if (std::string_view(device.attribute("subtype").value()) == "NVSwitch" ||
      (vendor == kNvswitchVendor && pci_class.starts_with("0x0680"))) {
    return NodeKind::nvswitch;
  }
  if (is_gpu_vendor(vendor) && is_gpu_class(pci_class)) {
    return NodeKind::gpu;
  }
  return is_nic_class(pci_class) || has_network(device) ? NodeKind::nic : NodeKind::pci_device;
}

// Whether a subtree has a device that the graph shows. Disks and the like are left out, and with
// them the bridges that lead nowhere else.
bool has_device(pugi::xml_node object) {
  if (is_type(object, "PCIDev")) {
    Node node;
    parse_pci_type(object.attribute("pci_type").value(), node);
    return kind_of(object, node) != NodeKind::pci_device;
  }
  const auto children = object.children("object");
  return std::any_of(children.begin(), children.end(), has_device);
}

}  // namespace

bool parse_pci_type(std::string_view text, Node& node) {
  // "0302 [10de:1db8] [10de:131d] a1"
  if (text.size() < 28 || text[5] != '[' || text[10] != ':' || text[17] != '[' || text[22] != ':') {
    return false;
  }
  const auto hex = [&](std::size_t at) { return fmt::format("0x{}", text.substr(at, 4)); };
  set_attribute(node, {"class", hex(0) + "00", kHwlocSource});
  set_attribute(node, {"vendor", hex(6), kHwlocSource});
  set_attribute(node, {"device", hex(11), kHwlocSource});
  set_attribute(node, {"subsystem_vendor", hex(18), kHwlocSource});
  set_attribute(node, {"subsystem_device", hex(23), kHwlocSource});
  return true;
}

Status HwlocLoader::load_io(pugi::xml_node object, NodeId parent, int depth) {
  if (is_type(object, "Bridge")) {
    return load_bridge(object, parent, depth);
  }
  if (is_type(object, "PCIDev")) {
    return load_pci_device(object, parent);
  }
  load_loose_device(object, parent);
  return {};
}

// `depth` counts bridges from the host bridge on, which has 0: odd ones are root ports and
// downstream ports, which are no nodes of their own.
Status HwlocLoader::load_bridge(pugi::xml_node bridge, NodeId parent, int depth) {
  if (!has_device(bridge)) {
    return {};
  }
  const bool host =
      depth == 0 && std::string_view(bridge.attribute("bridge_type").value()).starts_with("0-");
  NodeId id = parent;
  if (host) {
    id = add_child(graph_, {.kind = NodeKind::host_bridge, .parent = parent, .name = "bridge"});
  } else if (depth > 0 && depth % 2 == 0) {
    Node node{.kind = NodeKind::pci_switch, .parent = parent, .name = "switch"};
    TUTTI_TRY(fill_pci(bridge, node));
    Link up = pcie_up(node, kHwlocSource);
    id = add_child(graph_, std::move(node), std::move(up));
  }
  for (const pugi::xml_node child : bridge.children("object")) {
    TUTTI_TRY(load_io(child, id, depth + 1));
  }
  return {};
}

Status HwlocLoader::fill_pci(pugi::xml_node object, Node& node) const {
  const std::string_view id = object.attribute("pci_busid").value();
  const std::string_view type = object.attribute("pci_type").value();
  node.bus_id = bus_id(id);
  if (node.bus_id.empty()) {
    return file_.error_at(object, "pci_busid=\"{}\": a bus id looks like 0000:18:00.0", id);
  }
  if (!parse_pci_type(type, node)) {
    return file_.error_at(object,
                          "pci_type=\"{}\": this looks like 0302 [10de:2330] [10de:16c1] a1", type);
  }
  const std::string_view speed = object.attribute("pci_link_speed").value();
  double gigabytes = 0;
  std::from_chars(speed.data(), speed.data() + speed.size(), gigabytes);
  const PcieLink link = std::isfinite(gigabytes) ? pcie_link(gigabytes * kGiga) : PcieLink{};
  if (link.lanes > 0) {
    set_attribute(
        node, {"link_speed", fmt::format("{:.1f} GT/s PCIe", link.gigatransfers), kHwlocSource});
    set_attribute(node, {"link_width", fmt::format("{}", link.lanes), kHwlocSource});
  }
  return {};
}

Status HwlocLoader::load_pci_device(pugi::xml_node object, NodeId parent) {
  Node node{.parent = parent};
  TUTTI_TRY(fill_pci(object, node));
  node.kind = kind_of(object, node);
  if (node.kind == NodeKind::pci_device) {
    return {};
  }
  if (node.kind == NodeKind::gpu) {
    load_gpus(object, std::move(node));
    return {};
  }
  Link up = pcie_up(node, kHwlocSource);
  const NodeId id = add_child(graph_, std::move(node), std::move(up));
  by_id_.try_emplace(object.attribute("gp_index").value(), id);
  if (at(id).kind == NodeKind::nic) {
    load_ports(object, id);
  }
  return {};
}

// One node, or as many as the card is split into: RSMI has one system device for each partition.
void HwlocLoader::load_gpus(pugi::xml_node object, Node node) {
  std::vector<pugi::xml_node> parts;
  std::vector<pugi::xml_node> devices;
  for (const pugi::xml_node child : object.children("object")) {
    devices.push_back(child);
    // One more than a machine may have is enough for finish() to refuse.
    if (parts.size() <= kDevicesMax &&
        std::string_view(child.attribute("name").value()).starts_with("rsmi")) {
      parts.push_back(child);
    }
  }
  set_attribute(node, {"model", std::string(info(object, "PCIDevice")), kHwlocSource});
  const Link up = pcie_up(node, kHwlocSource);
  for (std::size_t part = 0; part < std::max<std::size_t>(parts.size(), 1); ++part) {
    Node gpu = node;
    const NodeId id = static_cast<NodeId>(graph_.nodes.size());
    for (const pugi::xml_node child : parts.empty() ? devices : std::vector{parts[part]}) {
      if (system_device(child) != SystemDevice::gpu) {
        continue;
      }
      set_attribute(gpu, {"model", std::string(info(child, "GPUModel")), kHwlocSource});
      set_attribute(gpu, {"uuid", std::string(info(child, "NVIDIAUUID")), kHwlocSource});
      by_id_.try_emplace(child.attribute("gp_index").value(), id);
    }
    if (parts.size() > 1) {
      set_attribute(gpu, {"partition", fmt::format("{}", part), kHwlocSource});
    }
    add_child(graph_, std::move(gpu), up);
  }
}

// RDMA devices with their ports; a network device of the same function belongs to the first port,
// or is one itself.
void HwlocLoader::load_ports(pugi::xml_node device, NodeId nic) {
  std::vector<std::string> netdevs;
  std::vector<pugi::xml_node> rdma;
  for (const pugi::xml_node child : device.children("object")) {
    const SystemDevice kind = system_device(child);
    if (kind == SystemDevice::rdma) {
      rdma.push_back(child);
    } else if (kind == SystemDevice::network) {
      netdevs.emplace_back(child.attribute("name").value());
    }
  }
  for (const pugi::xml_node child : rdma) {
    const std::string name = child.attribute("name").value();
    int ports = 1;
    while (ports < kPortsMax && !info(child, fmt::format("Port{}State", ports + 1)).empty()) {
      ++ports;
    }
    for (int port = 1; port <= ports; ++port) {
      Node node{.kind = NodeKind::port,
                .parent = nic,
                .name = ports == 1 ? name : fmt::format("{}/{}", name, port)};
      set_attribute(node, {"rdma", name, kHwlocSource});
      set_attribute(node, {"port", fmt::format("{}", port), kHwlocSource});
      set_attribute(node, {"guid", std::string(info(child, "NodeGUID")), kHwlocSource});
      const std::string_view state = info(child, fmt::format("Port{}State", port));
      set_attribute(node, {"state", port_state(state), kHwlocSource});
      if (!netdevs.empty()) {
        set_attribute(node, {"netdev", netdevs.front(), kHwlocSource});
        netdevs.erase(netdevs.begin());
      }
      add_child(graph_, std::move(node));
    }
  }
  for (const std::string& netdev : netdevs) {
    Node node{.kind = NodeKind::port, .parent = nic, .name = netdev};
    set_attribute(node, {"netdev", netdev, kHwlocSource});
    add_child(graph_, std::move(node));
  }
}

// A network device or GPU that is not on PCI.
void HwlocLoader::load_loose_device(pugi::xml_node object, NodeId parent) {
  const SystemDevice kind = system_device(object);
  const std::string name = object.attribute("name").value();
  if (kind == SystemDevice::gpu) {
    by_id_.try_emplace(object.attribute("gp_index").value(),
                       add_child(graph_, {.kind = NodeKind::gpu, .parent = parent, .name = name}));
  } else if (kind != SystemDevice::other) {
    const NodeId nic = add_child(graph_, {.kind = NodeKind::nic, .parent = parent, .name = name});
    Node port{.kind = NodeKind::port, .parent = nic, .name = name};
    set_attribute(port, {kind == SystemDevice::rdma ? "rdma" : "netdev", name, kHwlocSource});
    add_child(graph_, std::move(port));
  }
}

}  // namespace tutti::topology
