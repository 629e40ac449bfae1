// How two devices of a graph reach each other: which nodes lie between, of what class that is, and
// how many bytes per second fit through. Pure functions of a graph.
//
// The rule: devices joined by NVLink or xGMI, directly or through NVSwitches, use that; all others
// go up the tree to what they have in common and down again. So a path is the same every time, and
// it is the one that the hardware takes: PCIe routes along the tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/graph.h"

namespace tutti::topology {

// From near to far. In brackets the letters of `nvidia-smi topo -m`.
enum class PathClass : std::uint8_t {
  same,         // one device, or partitions of one PCI function [X]
  direct,       // NVLink [NV#], xGMI [XG#] or C2C [C2C], # links bundled
  one_switch,   // at most one PCIe switch between them [PIX]
  switches,     // several PCIe switches, no host bridge [PXB]
  host_bridge,  // through a PCIe host bridge; also where the source tells no bridges [PHB]
  numa,         // between host bridges of one NUMA node [NODE]
  system,       // across NUMA nodes, or below none that is known [SYS]
};

struct Path {
  PathClass kind = PathClass::system;
  LinkKind link = LinkKind::inside;  // what a direct path is made of
  int count = 0;                     // links of a direct path
  double bandwidth = 0;              // bytes/s in each direction; 0 unknown
  double latency_s = 0;              // one way, sum of the links
  std::vector<NodeId> nodes = {};    // from the one to the other, both included
  std::vector<int> links = {};       // indices in Graph::links, one between every two nodes
};

// For many paths of one graph, which must outlive it and stay as it is.
class Paths {
 public:
  explicit Paths(const Graph& graph) : graph_(&graph), links_(links_of(graph)) {}

  // REQUIRES: as of path().
  Path between(NodeId from, NodeId to) const;

 private:
  const Graph* graph_;
  std::vector<std::vector<int>> links_;
};

// REQUIRES: check(graph) is ok, and both ends are inside the machine.
Path path(const Graph& graph, NodeId from, NodeId to);

// "X", "NV18", "PIX", "SYS"
std::string letters(const Path& path);
// What the letters mean, in one sentence without a full stop.
std::string explain(PathClass kind);

}  // namespace tutti::topology
