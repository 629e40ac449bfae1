// Upper bounds for channels: what no ring and no tree can exceed, whatever the search does.
#pragma once

#include <vector>

#include "topology/channels.h"
#include "topology/channels_wiring.h"

namespace tutti::topology {

// The most that flows from any of `from` to any of `to` at once over those capacities (one for each
// arc of the wiring), and the vertices on the near side of a narrowest cut.
struct Flow {
  double bandwidth = 0;
  std::vector<bool> near = {};
};
Flow max_flow(const Wiring& wiring, const std::vector<double>& capacities,
              const std::vector<int>& from, const std::vector<int>& to);

// Every ring crosses every cut between two members (and the network, where there are ports): the
// minimum cut. Kept in Bound::bandwidth as kUnlimited where no capacity is known.
Bound ring_bound(const Wiring& wiring, const std::vector<double>& capacities);

// A tree uses its links both ways, and needs k - 1 of them to join k groups, each with an arc out
// of two groups: half the sum of what leads out of each group, over k - 1. The groups tried are
// single members, and those of one PCIe switch, NUMA node, package; and the minimum cut.
Bound tree_bound(const Graph& graph, const Wiring& wiring, const std::vector<double>& capacities);

}  // namespace tutti::topology
