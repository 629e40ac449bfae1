// What all loaders share: names and numbers of devices, links that follow from attributes, faults
// of sources that are known. A loader adds nodes, device links and attributes, then finishes.
#pragma once

#include <string>
#include <string_view>

#include "topology/graph.h"

namespace tutti::topology {

// "18:00.0", "0000:18:00.0" -> "0000:18:00.0" in lower case; empty if the text is no bus id.
std::string bus_id(std::string_view text);

// The link of a PCI device or switch to what is above it, from "link_speed" and "link_width".
Link pcie_up(const Node& node, std::string_view source);

// "0x0302", "0x120000" -> GPU; false if there is no class or another one.
bool is_gpu_class(std::string_view pci_class);
bool is_nic_class(std::string_view pci_class);
bool is_bridge_class(std::string_view pci_class);
// NVIDIA and AMD: others make display adapters, which are no devices to compute on.
bool is_gpu_vendor(std::string_view vendor);

// The PCI ids of a node as numbers, 0 if unknown.
unsigned vendor_of(const Node& node);
unsigned device_of(const Node& node);

// "4", "4: ACTIVE" -> "active"; verbs' port states.
std::string port_state(std::string_view text);

// "000000ff,ffff0000" or "0x000000ff,0xffff0000" -> "16-39". A word left out is zero, as hwloc
// writes it. Empty if there is no bit, or if this is no mask.
std::string cpus_of_mask(std::string_view mask);
// The reverse, without 0x: "16-39" -> "000000ff,ffff0000". REQUIRES: a list as the above makes it.
std::string mask_of_cpus(std::string_view cpus);

// Of one machine. Loaders and printers may look at every node for every other, or at every device
// for every other; the limits keep the squares small where a file is hostile.
constexpr std::size_t kNodesMax = 20'000;
constexpr std::size_t kDevicesMax = 1024;  // GPUs and NICs together; ports

// In this order: limits, device numbers, corrections, links between sockets and to the network,
// names. Ends with check().
Status finish(Graph& graph);

}  // namespace tutti::topology
