// libFuzzer: any text either is refused with a reason or becomes a graph that keeps its promises,
// prints in every form, and comes back the same from NCCL's XML. docs/topology.md has the command.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "topology/hwloc_xml.h"
#include "topology/load.h"
#include "topology/nccl_xml.h"
#include "topology/print.h"

namespace {

using tutti::topology::Graph;

constexpr std::size_t kPrintedNodesMax = 300;  // the matrix takes the square of it

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
  const auto written = tutti::topology::load_text("written", nccl_xml(*graph));
  if (written.ok()) {
    const auto again = tutti::topology::load_text("again", nccl_xml(*written));
    require(again.ok() && again->nodes == written->nodes && again->links == written->links);
  }
  return 0;
}
