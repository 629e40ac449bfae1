// Which rings and trees to run collectives over: the search for the channels that use the most
// bandwidth among the GPUs of a machine, and through its NICs to other machines like it.
//
// A ring is an order of all GPUs, a tree joins all of them, and each has a bandwidth that is taken
// off every link on its way, in the direction of the data. So the bandwidths of all rings hold at
// the same time, and their sum is what a ring algorithm can use. Beside it stands a bound that no
// set of rings can exceed: found / bound is the quality of the search.
//
// GPUs that NVLink or xGMI joins into one whole use nothing else, and leave PCIe to the NICs. Where
// there is no GPU, the members are the NUMA nodes.
//
// Pure functions of a graph: the numbers of devices decide ties, and the search counts steps, not
// time, so that every rank that has the graph finds the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/graph.h"
#include "topology/ports.h"

namespace tutti::topology {

struct Ring {
  std::vector<NodeId> members = {};  // each sends to the next, the last one to the first
  NodeId port = kNoNode;  // through NICs: data enters here before the first, leaves after the last
  double bandwidth = 0;   // bytes/s; 0 unknown
  bool operator==(const Ring&) const = default;
};

// Of all-reduce: partial sums go up while results come down.
struct Tree {
  std::vector<NodeId> members = {};  // the root first, parents before their children
  std::vector<int> parents = {};     // as places in members; -1 at the root
  NodeId port = kNoNode;             // through NICs: what joins the root to other machines
  double bandwidth = 0;              // bytes/s in each direction; 0 unknown
  bool operator==(const Tree&) const = default;
};

// What no set of channels exceeds, and why.
struct Bound {
  double bandwidth = 0;             // bytes/s; 0 unknown
  std::vector<NodeId> narrow = {};  // members that this is all that leads out of, or into
  bool operator==(const Bound&) const = default;
};

template <typename Channel>
struct Channels {
  std::vector<Channel> channels = {};
  double found = 0;  // bytes/s, the sum of all; 0 unknown
  Bound bound = {};
  std::int64_t steps = 0;  // that the search took
  // found / bound; 1 where both are unknown.
  double quality() const { return bound.bandwidth > 0 ? found / bound.bandwidth : 1; }
  bool operator==(const Channels&) const = default;
};

struct MachineChannels {
  std::vector<NodeId> members =
      {};             // GPUs by number, or NUMA nodes; what is below is empty for < 2
  bool fast = false;  // NVLink or xGMI alone joins them
  Channels<Ring> rings = {};
  Channels<Tree> trees = {};
  // One machine of several: every ring enters and leaves by the same port, so that it stays on one
  // rail. Empty where there is no port.
  Channels<Ring> rings_out = {};
  Channels<Tree> trees_out = {};
  std::vector<LeftOut> left_out = {};  // ports that no channel uses
  int ports_unrated = 0;               // which channels use as if they limited nothing
  bool operator==(const MachineChannels&) const = default;
};

// The budget of one search; a step tries one hop, of trees all hops of a member. At the default the
// whole takes some ten milliseconds where it runs out, for 72 GPUs some 200.
constexpr std::int64_t kChannelSteps = 200'000;

// REQUIRES: check(graph) is ok.
MachineChannels find_channels(const Graph& graph, std::int64_t steps = kChannelSteps);

}  // namespace tutti::topology
