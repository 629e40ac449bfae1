// libFuzzer: any text either is refused with a reason or becomes a graph that keeps its promises,
// prints in every form, has channels and places for ranks, and comes back the same from NCCL's XML.
// docs/topology.md has the command.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "topology/affinity.h"
#include "topology/channels.h"
#include "topology/hwloc_xml.h"
#include "topology/load.h"
#include "topology/nccl_xml.h"
#include "topology/print.h"

namespace {

using tutti::topology::Graph;
using tutti::topology::NodeKind;

constexpr std::size_t kPrintedNodesMax = 300;  // the matrix takes the square of it
constexpr std::size_t kSearchedDevicesMax = 24;
constexpr std::int64_t kSteps = 500;
constexpr double kRounding = 1e-6;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void print(const Graph& graph) {
  require(!tree(graph, false).empty());
  require(!json(graph).empty());
  require(!dot(graph).empty());
  require(!svg(graph).empty());
  require(tutti::topology::load_text("written", hwloc_xml(graph)).ok());
  if (graph.nodes.size() < kPrintedNodesMax) {
    require(!matrix(graph).empty());
  }
}

// Squares of devices again; the search itself counts its steps.
void find_channels_of(const Graph& graph) {
  const auto count = [&](NodeKind kind) { return of_kind(graph, kind).size(); };
  if (count(NodeKind::gpu) + count(NodeKind::port) > kSearchedDevicesMax ||
      count(NodeKind::numa) > kSearchedDevicesMax) {
    return;
  }
  const auto channels = find_channels(graph, kSteps);
  for (const double quality : {channels.rings.quality(), channels.trees.quality(),
                               channels.rings_out.quality(), channels.trees_out.quality()}) {
    require(quality <= 1 + kRounding);
  }
  require(!channels_text(graph, channels).empty());
  require(!channels_json(graph, channels).empty());
}

// Nobody shares a CPU unless that is said, and ports are for somebody.
void find_places_of(const Graph& graph) {
  const auto affinity = find_affinity(graph);
  require(!affinity.ranks.empty());
  std::set<int> taken;
  for (const auto& rank : affinity.ranks) {
    for (const int cpu : rank.cpus) {
      require(taken.insert(cpu).second || affinity.cpus_overlap);
    }
    require(rank.nics.empty() || rank.nics[0].own);
  }
  require(!affinity_text(graph, affinity).empty());
  require(!affinity_json(graph, affinity).empty());
}

}  // namespace

// NOLINTNEXTLINE: libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto graph = tutti::topology::load_text("fuzz", text);
  if (!graph.ok()) {
    require(!graph.status().message().empty());
    return 0;
  }
  require(check(*graph).ok());
  print(*graph);
  find_channels_of(*graph);
  find_places_of(*graph);
  const auto written = tutti::topology::load_text("written", nccl_xml(*graph));
  if (written.ok()) {
    const auto again = tutti::topology::load_text("again", nccl_xml(*written));
    require(again.ok() && again->nodes == written->nodes && again->links == written->links);
  }
  return 0;
}
