// Which ports of a machine's NICs carry collectives, in the order of rails, and why others do not.
// Pure functions of a graph.
//
// The order of rails is that of the ports' "rail" attributes, then of bus ids and port numbers, so
// that the machines of one kind number their rails alike, in whatever order a source lists them.
#pragma once

#include <string>
#include <vector>

#include "topology/graph.h"

namespace tutti::topology {

// Verbs' states before "active", and the system's words for a network device without a link. A
// state that the source does not tell is taken for a good one.
bool is_down(const Node& port);

// By the number of a port: bytes/s in each direction of its wire or of its NIC's PCIe link,
// whichever is less; 0 unknown.
std::vector<double> rates_of_ports(const Graph& graph);

std::vector<NodeId> ports_in_rail_order(const Graph& graph);

struct LeftOut {
  NodeId port = kNoNode;
  std::string why = {};  // "its state is down"
  bool operator==(const LeftOut&) const = default;
};

// Both lists in the order of rails. Left out are ports that are down; without a PCI device or
// without an RDMA device where others have one; of the link layer that has less bandwidth in all;
// and those below a quarter of the fastest rate, as of management networks.
struct Rails {
  std::vector<NodeId> ports = {};
  std::vector<LeftOut> left_out = {};
};
Rails find_rails(const Graph& graph);

}  // namespace tutti::topology
