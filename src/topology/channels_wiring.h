// A machine as the search for channels sees it: members, and the arcs that data takes from one to
// another. An arc is one direction of a link, or of all links that a GPU has to NVSwitches.
#pragma once

#include <limits>
#include <vector>

#include "topology/graph.h"
#include "topology/ports.h"

namespace tutti::topology {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

struct Arc {
  int from = 0;  // nodes of the graph; after them, one for what NVSwitches join
  int to = 0;
  double capacity = kUnlimited;  // bytes/s; unknown bandwidths limit nothing
};

// The arcs of a way, at least one; none where it does not exist.
struct Hop {
  bool exists = false;
  std::vector<int> arcs = {};
};

struct Wiring {
  int vertices = 0;
  std::vector<NodeId> members;
  std::vector<NodeId> ports;  // that carry collectives, in the order of rails
  std::vector<LeftOut> left_out;
  int ports_unrated = 0;     // of `ports`: no rate is known
  NodeId network = kNoNode;  // where the arcs of ports end
  bool fast = false;
  std::vector<Arc> arcs;
  std::vector<std::vector<Hop>> hops;   // [from][to], places in members
  std::vector<std::vector<Hop>> enter;  // [port][member]: from the network
  std::vector<std::vector<Hop>> leave;  // [port][member]: to the network
};

struct WiringOptions {
  bool ports = false;      // also to the network
  bool fast_alone = true;  // where NVLink or xGMI seems to join all members, over nothing else
};
Wiring wire(const Graph& graph, const WiringOptions& options);

}  // namespace tutti::topology
