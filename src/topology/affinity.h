// Where the ranks of one machine belong: which GPU, CPUs, NUMA node and NICs each should use.
//
// CPUs: the cores of a NUMA node are shared out among its ranks, whole cores with their hardware
// threads, evenly and without overlap as long as there are as many cores as ranks. NICs: each rank
// has a port that is as near to it as any; of several that are equally near, ports and ranks are
// dealt out evenly and in order, so that rank i has the same rail on every machine of one kind.
//
// Pure functions of a graph: ranks follow the numbers of GPUs, rails the order of ports.h.
#pragma once

#include <string>
#include <vector>

#include "topology/graph.h"
#include "topology/path.h"
#include "topology/ports.h"

namespace tutti::topology {

struct RankNic {
  NodeId port = kNoNode;
  PathClass path = PathClass::system;
  double bandwidth = 0;  // bytes/s from the rank's GPU or NUMA node to the wire; 0 unknown
  bool own = false;      // meant for this rank; the others are for when its own fail
  bool operator==(const RankNic&) const = default;
};

struct RankAffinity {
  NodeId gpu = kNoNode;
  NodeId numa = kNoNode;           // of the GPU, or of the CPUs where there is no GPU
  std::vector<int> cpus = {};      // ascending; empty where the source tells of none
  std::vector<RankNic> nics = {};  // in order of preference: all its own, then some others
  bool operator==(const RankAffinity&) const = default;
};

struct Affinity {
  std::vector<RankAffinity> ranks = {};
  bool cpus_overlap = false;  // somewhere there are more ranks than cores
  std::vector<LeftOut> left_out = {};
  std::vector<std::string> notes = {};  // what costs bandwidth, and what to do about it
  bool operator==(const Affinity&) const = default;
};

struct AffinityOptions {
  int ranks = 0;  // 0: one for each GPU, or for each NUMA node where there is no GPU
  std::vector<int> allowed = {};  // CPUs that may be used, ascending; empty: all
};

// REQUIRES: check(graph) is ok, options.ranks >= 0.
Affinity find_affinity(const Graph& graph, const AffinityOptions& options = {});

// As text, a line for each rank and the notes below, and by docs/topology.schema.json.
std::string affinity_text(const Graph& graph, const Affinity& affinity);
std::string affinity_json(const Graph& graph, const Affinity& affinity);

}  // namespace tutti::topology
