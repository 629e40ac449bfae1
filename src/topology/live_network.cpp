#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <set>

#include "topology/build.h"
#include "topology/live_loader.h"

namespace tutti::topology {
namespace {

const std::filesystem::path kRdma = "sys/class/infiniband";
const std::filesystem::path kNet = "sys/class/net";

// "400 Gb/sec (4X NDR)" -> "400000"; rates may be fractions, as 2.5.
std::string megabits(std::string_view rate) {
  double gigabits = 0;
  std::from_chars(rate.data(), rate.data() + rate.size(), gigabits);
  return gigabits > 0 && gigabits < 1e6 ? fmt::format("{}", std::lround(gigabits * 1000)) : "";
}

}  // namespace

void LiveLoader::load_network() {
  for (const std::string& name : sysfs_.names(kRdma)) {
    load_rdma_device(name);
  }
  for (const std::string& name : sysfs_.names(kNet)) {
    if (!netdev_ports_.contains(name) && sysfs_.exists(kNet / name / "device")) {
      load_netdev(name, nic_of(kNet / name, name));
    }
  }
  if (of_kind(graph_, NodeKind::port).empty()) {
    load_virtual_netdevs();
  }
}

// The NIC that a device of the system belongs to: its PCI function, or one of its own.
NodeId LiveLoader::nic_of(const std::filesystem::path& device, const std::string& name) {
  std::string bridge;
  const std::vector<std::string> chain = sysfs_.pci_chain(device, bridge);
  if (chain.empty()) {
    return add_child(
        graph_, {.kind = NodeKind::nic, .parent = numa_of_device(device / "device"), .name = name});
  }
  const auto known = pci_.find(chain.back());
  return known != pci_.end() ? known->second : add_pci(chain.back(), NodeKind::nic);
}

void LiveLoader::load_rdma_device(const std::string& name) {
  const NodeId nic = nic_of(kRdma / name, name);
  for (const auto& [attribute, file] :
       {std::pair("firmware", "fw_ver"), std::pair("board", "board_id"),
        std::pair("model", "hca_type")}) {
    set_attribute(at(nic), {attribute, sysfs_.line(kRdma / name / file), kSysfsSource});
  }
  const std::vector<std::string> ports = sysfs_.names(kRdma / name / "ports");
  for (const std::string& port : ports) {
    load_rdma_port(name, port, nic, ports.size() == 1);
  }
}

void LiveLoader::load_rdma_port(const std::string& name, const std::string& port, NodeId nic,
                                bool only) {
  const std::filesystem::path folder = kRdma / name / "ports" / port;
  Node node{.kind = NodeKind::port,
            .parent = nic,
            .name = only ? name : fmt::format("{}/{}", name, port)};
  set_attribute(node, {"rdma", name, kSysfsSource});
  set_attribute(node, {"port", port, kSysfsSource});
  set_attribute(node, {"guid", sysfs_.line(kRdma / name / "node_guid"), kSysfsSource});
  set_attribute(node, {"state", port_state(sysfs_.line(folder / "state")), kSysfsSource});
  set_attribute(node, {"phys_state", sysfs_.line(folder / "phys_state"), kSysfsSource});
  set_attribute(node, {"link_layer", sysfs_.line(folder / "link_layer"), kSysfsSource});
  set_attribute(node, {"speed", megabits(sysfs_.line(folder / "rate")), kSysfsSource});
  std::set<std::string> types;
  std::string netdev;
  for (const std::string& index : sysfs_.names(folder / "gid_attrs/types")) {
    const std::string type = sysfs_.line(folder / "gid_attrs/types" / index);
    if (!type.empty()) {
      types.insert(type);
      const std::string device = sysfs_.line(folder / "gid_attrs/ndevs" / index);
      netdev = netdev.empty() ? device : netdev;
    }
  }
  set_attribute(node, {"gid_types", fmt::format("{}", fmt::join(types, ", ")), kSysfsSource});
  if (netdev.empty()) {
    // InfiniBand has no network device in its GID table: the one of the same PCI function.
    for (const std::string& device : sysfs_.names(kRdma / name / "device/net")) {
      netdev = netdev.empty() && !netdev_ports_.contains(device) ? device : netdev;
    }
  }
  if (!netdev.empty()) {
    describe_netdev(netdev, node);
  }
  const NodeId id = add_child(graph_, std::move(node));
  if (!netdev.empty()) {
    netdev_ports_.try_emplace(netdev, id);
  }
}

void LiveLoader::describe_netdev(const std::string& name, Node& port) const {
  const std::filesystem::path folder = kNet / name;
  set_attribute(port, {"netdev", name, kSysfsSource});
  set_attribute(port, {"mtu", sysfs_.line(folder / "mtu"), kSysfsSource});
  set_attribute(port, {"operstate", sysfs_.line(folder / "operstate"), kSysfsSource});
  const std::string speed = sysfs_.line(folder / "speed");
  const bool known = !speed.empty() && speed[0] != '-' && speed != "0" && speed != "4294967295";
  if (known && !find_attribute(port, "speed")) {
    set_attribute(port, {"speed", speed, kSysfsSource});
  }
}

void LiveLoader::load_netdev(const std::string& name, NodeId nic) {
  Node node{.kind = NodeKind::port, .parent = nic, .name = name};
  describe_netdev(name, node);
  set_attribute(node, {"state", sysfs_.line(kNet / name / "operstate"), kSysfsSource});
  set_attribute(node, {"link_layer", "Ethernet", kSysfsSource});
  netdev_ports_.try_emplace(name, add_child(graph_, std::move(node)));
}

// In a container all network devices are virtual: better those than none.
void LiveLoader::load_virtual_netdevs() {
  for (const std::string& name : sysfs_.names(kNet)) {
    if (name == "lo" || sysfs_.line(kNet / name / "operstate") != "up") {
      continue;
    }
    const NodeId parent = numas_.size() == 1 ? numas_.begin()->second : 0;
    const NodeId nic = add_child(graph_, {.kind = NodeKind::nic, .parent = parent, .name = name});
    set_attribute(at(nic), {"virtual", "yes", kSysfsSource,
                            "no device behind it, as in containers; its place is not known"});
    load_netdev(name, nic);
  }
}

}  // namespace tutti::topology
