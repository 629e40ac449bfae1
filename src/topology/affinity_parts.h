// The two halves of find_affinity(), which do not depend on each other, and words for their notes.
#pragma once

#include <string>
#include <vector>

#include "topology/affinity.h"

namespace tutti::topology {

// CPUs that ranks share out among themselves: of a NUMA node, or those that are in none.
struct CpuPool {
  NodeId node = kNoNode;                     // NUMA node, package or machine
  std::vector<std::vector<int>> cores = {};  // their CPUs, in order of the first
};
// In order of the NUMA nodes' numbers, without empty ones.
std::vector<CpuPool> cpu_pools(const Graph& graph, const std::vector<int>& allowed,
                               std::vector<std::string>& notes);

// The pool of each of `ranks` ranks that have no GPU: as even as the cores are, neighbours
// together.
std::vector<std::size_t> deal_out(const std::vector<CpuPool>& pools, int ranks);

// Sets `cpus` of all ranks, and says what is not as it should be.
void share_cpus(const Graph& graph, const std::vector<CpuPool>& pools,
                const std::vector<std::size_t>& pool_of_cpu_rank, Affinity& affinity);

// Sets `nics` of all ranks and `left_out`, and says what is not as it should be.
void assign_nics(const Graph& graph, Affinity& affinity);

// choices[i] are the bins that item i may go to, at least one. Returns the bin of each, such that
// no other choice has loads that are more even: by cost-reducing paths (Harvey, Ladner, Lovasz,
// Tamir: Semi-matchings for bipartite graphs and load balancing, 2003). Items with equal choices
// are dealt out in order.
std::vector<int> deal_evenly(const std::vector<std::vector<int>>& choices, int bins);

// Of that kind, by `index`: the order of a source must not show.
std::vector<NodeId> by_number(const Graph& graph, NodeKind kind);

// "rank 0 (gpu0)", "ranks 4-7 (gpu4, gpu5, gpu6, gpu7)"
std::string who(const Graph& graph, const Affinity& affinity, const std::vector<int>& ranks);

}  // namespace tutti::topology
