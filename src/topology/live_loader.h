// The state of reading the live machine; its parts are in live_*.cpp.
#pragma once

#include <map>
#include <string>

#include "topology/graph.h"
#include "topology/live.h"
#include "topology/sysfs.h"

namespace tutti::topology {

constexpr const char* kSysfsSource = "sysfs";

class LiveLoader {
 public:
  explicit LiveLoader(const LiveSources& sources) : sources_(sources), sysfs_(sources.root) {}

  Result<Graph> load();

 private:
  // Processors.
  void load_processors();
  void load_packages();
  void load_numa();
  void load_cores();
  NodeId parent_of_cpu(int cpu) const;  // NUMA node, else package, else machine

  // PCI: GPUs, NVSwitches, and NICs with all that is on the way to them.
  void load_pci();
  NodeId numa_of_device(const std::filesystem::path& device) const;
  NodeId place_of_chain(const std::vector<std::string>& chain, const std::string& bridge);
  Node pci_node(const std::string& id) const;
  NodeId add_pci(const std::string& id, NodeKind kind);

  // Network and RDMA devices.
  void load_network();
  void load_rdma_device(const std::string& name);
  void load_rdma_port(const std::string& name, const std::string& port, NodeId nic, bool only);
  void load_netdev(const std::string& name, NodeId nic);
  void load_virtual_netdevs();
  void describe_netdev(const std::string& name, Node& port) const;
  NodeId nic_of(const std::filesystem::path& device, const std::string& name);

  void note_what_is_missing();
  Node& at(NodeId id) { return graph_.nodes[static_cast<std::size_t>(id)]; }

  const LiveSources& sources_;
  Sysfs sysfs_;
  Graph graph_;
  std::map<int, NodeId> packages_;  // by number
  std::map<int, NodeId> numas_;     // by number
  std::map<int, NodeId> numa_of_cpu_;
  std::map<std::string, NodeId> pci_;           // by bus id, or by folder of a host bridge
  std::map<std::string, NodeId> netdev_ports_;  // network devices that a port has
};

}  // namespace tutti::topology
