#include "topology/affinity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "topology/affinity_parts.h"
#include "topology/sysfs.h"

namespace tutti::topology {
namespace {

constexpr std::size_t kNamesMax = 8;

// As launchers do it: local rank i has GPU i, and more ranks than GPUs start over.
void place_at_gpus(const Graph& graph, const std::vector<NodeId>& gpus, int ranks,
                   Affinity& affinity) {
  const std::size_t count = ranks > 0 ? static_cast<std::size_t>(ranks) : gpus.size();
  for (std::size_t rank = 0; rank < count; ++rank) {
    const NodeId gpu = gpus[rank % gpus.size()];
    affinity.ranks.push_back({.gpu = gpu, .numa = above(graph, gpu, NodeKind::numa)});
  }
  if (count > gpus.size()) {
    affinity.notes.push_back(
        fmt::format("{} ranks share {} {}", count, gpus.size(), gpus.size() == 1 ? "GPU" : "GPUs"));
  }
}

// Returns the pool of each rank.
std::vector<std::size_t> place_at_cpus(const Graph& graph, const std::vector<CpuPool>& pools,
                                       int ranks, Affinity& affinity) {
  const int count = ranks > 0 ? ranks : std::max(1, static_cast<int>(pools.size()));
  std::vector<std::size_t> pool_of = deal_out(pools, count);
  affinity.ranks.resize(static_cast<std::size_t>(count));
  for (std::size_t rank = 0; rank < pool_of.size(); ++rank) {
    affinity.ranks[rank].numa = above(graph, pools[pool_of[rank]].node, NodeKind::numa);
  }
  return pool_of;
}

}  // namespace

Affinity find_affinity(const Graph& graph, const AffinityOptions& options) {
  Affinity affinity;
  const std::vector<CpuPool> pools = cpu_pools(graph, options.allowed, affinity.notes);
  const std::vector<NodeId> gpus = by_number(graph, NodeKind::gpu);
  std::vector<std::size_t> pool_of_cpu_rank;
  if (gpus.empty()) {
    pool_of_cpu_rank = place_at_cpus(graph, pools, options.ranks, affinity);
  } else {
    place_at_gpus(graph, gpus, options.ranks, affinity);
  }
  share_cpus(graph, pools, pool_of_cpu_rank, affinity);
  assign_nics(graph, affinity);
  return affinity;
}

std::vector<NodeId> by_number(const Graph& graph, NodeKind kind) {
  std::vector<NodeId> nodes = of_kind(graph, kind);
  std::stable_sort(nodes.begin(), nodes.end(),
                   [&](NodeId a, NodeId b) { return at(graph, a).index < at(graph, b).index; });
  return nodes;
}

std::string who(const Graph& graph, const Affinity& affinity, const std::vector<int>& ranks) {
  std::vector<std::string> names;
  for (const int rank : ranks) {
    const RankAffinity& one = affinity.ranks[static_cast<std::size_t>(rank)];
    const NodeId node = one.gpu != kNoNode ? one.gpu : one.numa;
    const std::string name = node == kNoNode ? "" : at(graph, node).name;
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  if (names.size() > kNamesMax) {
    names.resize(kNamesMax);
    names.emplace_back("...");
  }
  return fmt::format("{} {}{}", ranks.size() == 1 ? "rank" : "ranks", list_of_numbers(ranks),
                     names.empty() ? "" : fmt::format(" ({})", fmt::join(names, ", ")));
}

}  // namespace tutti::topology
