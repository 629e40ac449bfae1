#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "topology/affinity_parts.h"
#include "topology/sysfs.h"

namespace tutti::topology {
namespace {

// The nearest of NUMA node, package and machine.
NodeId place_of(const Graph& graph, NodeId id) {
  NodeId place = above(graph, id, NodeKind::numa);
  place = place == kNoNode ? above(graph, id, NodeKind::package) : place;
  return place == kNoNode ? 0 : place;
}

// Of a list "0-3,8-11" as Linux numbers hardware threads: 0 and 8 are one core, 1 and 9 another.
// Where the list is of ranges of different lengths, each CPU is a core.
std::vector<std::vector<int>> guessed_cores(const std::vector<int>& cpus) {
  std::vector<std::vector<int>> ranges;
  for (const int cpu : cpus) {
    if (ranges.empty() || ranges.back().back() + 1 != cpu) {
      ranges.emplace_back();
    }
    ranges.back().push_back(cpu);
  }
  const bool alike = std::all_of(ranges.begin(), ranges.end(), [&](const std::vector<int>& range) {
    return range.size() == ranges[0].size();
  });
  std::vector<std::vector<int>> cores(alike ? ranges[0].size() : cpus.size());
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    cores[i % cores.size()].push_back(cpus[i]);
  }
  return cores;
}

class PoolBuilder {
 public:
  PoolBuilder(const Graph& graph, const std::vector<int>& allowed)
      : graph_(graph), allowed_(allowed) {}

  std::vector<CpuPool> build(std::vector<std::string>& notes) {
    for (const NodeId core : by_number(graph_, NodeKind::core)) {
      add(place_of(graph_, core), fresh(core));
    }
    for (const NodeKind kind : {NodeKind::numa, NodeKind::package}) {
      for (const NodeId node : by_number(graph_, kind)) {
        if (!cores_.contains(node)) {
          guess(node);
        }
      }
    }
    if (!guessed_.empty()) {
      notes.push_back(fmt::format(
          "the source tells no cores of {}: CPUs such as {} are taken for threads of one",
          fmt::join(guessed_, ", "), list_of_numbers(guessed_core_)));
    }
    if (not_allowed_ > 0) {
      notes.push_back(fmt::format("{} of {} CPUs may not be used by this process", not_allowed_,
                                  taken_.size()));
    }
    return pools();
  }

 private:
  // The node's CPUs that no node had before: memory without CPUs of its own repeats others'.
  std::vector<int> fresh(NodeId node) {
    std::vector<int> cpus;
    for (const int cpu : numbers_of_list(value_of(at(graph_, node), "cpus"))) {
      if (taken_.insert(cpu).second) {
        cpus.push_back(cpu);
      }
    }
    std::sort(cpus.begin(), cpus.end());
    return cpus;
  }

  void guess(NodeId node) {
    const std::vector<int> cpus = fresh(node);
    if (cpus.empty()) {
      return;
    }
    const std::vector<std::vector<int>> cores = guessed_cores(cpus);
    for (const std::vector<int>& core : cores) {
      add(node, core);
    }
    if (cores.size() < cpus.size()) {
      guessed_core_ = guessed_.empty() ? cores[0] : guessed_core_;
      guessed_.push_back(at(graph_, node).name);
    }
  }

  void add(NodeId node, std::vector<int> core) {
    if (core.empty()) {
      return;
    }
    if (!allowed_.empty()) {
      not_allowed_ += std::erase_if(core, [&](int cpu) {
        return !std::binary_search(allowed_.begin(), allowed_.end(), cpu);
      });
    }
    std::vector<std::vector<int>>& cores = cores_[node];  // also when nothing of it is allowed
    if (!core.empty()) {
      cores.push_back(std::move(core));
    }
  }

  std::vector<CpuPool> pools() {
    std::vector<CpuPool> pools;
    for (auto& [node, cores] : cores_) {
      if (!cores.empty()) {
        std::sort(cores.begin(), cores.end());
        pools.push_back({node, std::move(cores)});
      }
    }
    std::sort(pools.begin(), pools.end(), [&](const CpuPool& a, const CpuPool& b) {
      const auto order = [&](const CpuPool& pool) {
        const Node& node = at(graph_, pool.node);
        return std::tuple(node.kind != NodeKind::numa, node.index, pool.cores[0]);
      };
      return order(a) < order(b);
    });
    return pools;
  }

  const Graph& graph_;
  const std::vector<int>& allowed_;
  std::set<int> taken_;
  std::size_t not_allowed_ = 0;
  std::vector<std::string> guessed_;  // nodes
  std::vector<int> guessed_core_;     // an example
  std::map<NodeId, std::vector<std::vector<int>>> cores_;
};

// Which pool each rank takes its CPUs from, and what to say where that is not its own node's.
class Placer {
 public:
  Placer(const Graph& graph, const std::vector<CpuPool>& pools, Affinity& affinity)
      : graph_(graph), pools_(pools), affinity_(affinity), ranks_of_(pools.size()) {}

  // The ranks of each pool, ascending.
  std::vector<std::vector<int>> place(const std::vector<std::size_t>& pool_of_cpu_rank) {
    std::vector<std::vector<int>> strays;  // those of one place together
    for (std::size_t i = 0; i < affinity_.ranks.size(); ++i) {
      const auto rank = static_cast<int>(i);
      const std::size_t pool =
          pool_of_cpu_rank.empty() ? pool_at(affinity_.ranks[i].numa) : pool_of_cpu_rank[i];
      if (pool < pools_.size()) {
        ranks_of_[pool].push_back(rank);
      } else if (const auto alike = std::find_if(
                     strays.begin(), strays.end(),
                     [&](const auto& ranks) { return place(ranks[0]) == place(rank); });
                 alike != strays.end()) {
        alike->push_back(rank);
      } else {
        strays.push_back({rank});
      }
    }
    for (const std::vector<int>& ranks : strays) {
      place_elsewhere(ranks);
    }
    for (std::vector<int>& ranks : ranks_of_) {
      std::sort(ranks.begin(), ranks.end());
    }
    return std::move(ranks_of_);
  }

 private:
  std::size_t pool_at(NodeId node) const {
    return static_cast<std::size_t>(
        std::find_if(pools_.begin(), pools_.end(),
                     [&](const CpuPool& pool) { return pool.node == node; }) -
        pools_.begin());
  }

  std::pair<NodeId, NodeId> place(int rank) const {
    const RankAffinity& one = affinity_.ranks[static_cast<std::size_t>(rank)];
    return {one.numa, above(graph_, one.gpu, NodeKind::package)};
  }

  // Of the same package if there is one, and there where most cores are left for each rank;
  // neighbours stay together, as GPUs with neighbouring bus ids mostly are.
  void place_elsewhere(const std::vector<int>& ranks) {
    const NodeId package = place(ranks[0]).second;
    std::map<std::size_t, std::size_t> counts;  // ranks by pool
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      const auto cost = [&](std::size_t pool) {
        const bool near =
            package != kNoNode && above(graph_, pools_[pool].node, NodeKind::package) == package;
        return std::pair(!near, static_cast<double>(ranks_of_[pool].size() + counts[pool] + 1) /
                                    static_cast<double>(pools_[pool].cores.size()));
      };
      std::size_t best = 0;
      for (std::size_t pool = 1; pool < pools_.size(); ++pool) {
        best = cost(pool) < cost(best) ? pool : best;
      }
      ++counts[best];
    }
    auto next = ranks.begin();
    for (const auto& [pool, count] : counts) {
      const std::vector<int> here(next, next + static_cast<std::ptrdiff_t>(count));
      next += static_cast<std::ptrdiff_t>(count);
      ranks_of_[pool].insert(ranks_of_[pool].end(), here.begin(), here.end());
      if (!here.empty()) {
        say_elsewhere(place(here[0]).first, pool, here);
      }
    }
  }

  void say_elsewhere(NodeId numa, std::size_t pool, const std::vector<int>& ranks) {
    const std::string& taken = at(graph_, pools_[pool].node).name;
    const std::string ranks_text = who(graph_, affinity_, ranks);
    affinity_.notes.push_back(
        numa == kNoNode
            ? fmt::format("the NUMA node of {} is not known: its CPUs are of {}", ranks_text, taken)
            : fmt::format("{}: {} has no CPU that may be used; its CPUs are of {}", ranks_text,
                          at(graph_, numa).name, taken));
  }

  const Graph& graph_;
  const std::vector<CpuPool>& pools_;
  Affinity& affinity_;
  std::vector<std::vector<int>> ranks_of_;
};

}  // namespace

std::vector<CpuPool> cpu_pools(const Graph& graph, const std::vector<int>& allowed,
                               std::vector<std::string>& notes) {
  return PoolBuilder(graph, allowed).build(notes);
}

std::vector<std::size_t> deal_out(const std::vector<CpuPool>& pools, int ranks) {
  std::vector<std::size_t> counts(pools.size(), 0);
  for (int i = 0; i < ranks && !pools.empty(); ++i) {
    std::size_t best = 0;
    for (std::size_t pool = 1; pool < pools.size(); ++pool) {
      // cores / (ranks + 1), compared without a division
      best = pools[pool].cores.size() * (counts[best] + 1) >
                     pools[best].cores.size() * (counts[pool] + 1)
                 ? pool
                 : best;
    }
    ++counts[best];
  }
  std::vector<std::size_t> pool_of;
  for (std::size_t pool = 0; pool < pools.size(); ++pool) {
    pool_of.insert(pool_of.end(), counts[pool], pool);
  }
  return pool_of;
}

void share_cpus(const Graph& graph, const std::vector<CpuPool>& pools,
                const std::vector<std::size_t>& pool_of_cpu_rank, Affinity& affinity) {
  if (pools.empty()) {
    affinity.notes.emplace_back("the source tells of no CPU that may be used");
    return;
  }
  const auto ranks_of = Placer(graph, pools, affinity).place(pool_of_cpu_rank);
  for (std::size_t pool = 0; pool < pools.size(); ++pool) {
    const std::vector<std::vector<int>>& cores = pools[pool].cores;
    const std::vector<int>& ranks = ranks_of[pool];
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      const std::size_t first = i * cores.size() / ranks.size();
      const std::size_t end = std::max(first + 1, (i + 1) * cores.size() / ranks.size());
      std::vector<int>& cpus = affinity.ranks[static_cast<std::size_t>(ranks[i])].cpus;
      for (std::size_t core = first; core < end; ++core) {
        cpus.insert(cpus.end(), cores[core].begin(), cores[core].end());
      }
      std::sort(cpus.begin(), cpus.end());
    }
    if (ranks.size() > cores.size()) {
      affinity.cpus_overlap = true;
      affinity.notes.push_back(
          fmt::format("{}: {} ranks share {} {}; start fewer ranks, or they slow each other down",
                      at(graph, pools[pool].node).name, ranks.size(), cores.size(),
                      cores.size() == 1 ? "core" : "cores"));
    }
  }
}

}  // namespace tutti::topology
