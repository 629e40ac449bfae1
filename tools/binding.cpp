#include "binding.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "topology/affinity.h"
#include "topology/live.h"

namespace tutti::tools {

Result<Binding> bind_ranks(int ranks) {
  // Which CPUs are near a GPU does not depend on its NVLinks, for which NVML would be loaded.
  TUTTI_TRY_ASSIGN(const topology::Graph graph, topology::load_live({.root = "/", .nvml = ""}));
  topology::Affinity found =
      topology::find_affinity(graph, {.ranks = ranks, .allowed = topology::allowed_cpus("/")});
  const bool known = std::none_of(found.ranks.begin(), found.ranks.end(),
                                  [](const auto& rank) { return rank.cpus.empty(); });
  if (!known) {
    return Binding{.why_not = "this machine does not tell its CPUs"};
  }
  if (found.cpus_overlap) {
    return Binding{.why_not = fmt::format("some would share a core; start fewer ranks, `tutti topo "
                                          "--affinity --ranks {}` says where",
                                          ranks)};
  }
  Binding binding;
  for (topology::RankAffinity& rank : found.ranks) {
    binding.cpus.push_back(std::move(rank.cpus));
  }
  return binding;
}

}  // namespace tutti::tools
