#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "topology/path.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

std::string label(const Node& node) {
  return fmt::format("{}{}", node.kind == NodeKind::gpu ? "GPU" : "NIC", node.index);
}

// The NIC's ports, by the names under which transports open them.
std::string port_names(const Graph& graph, NodeId nic) {
  std::string text;
  for (const NodeId port : children(graph, nic)) {
    text += text.empty() ? "" : ", ";
    text += graph.nodes[static_cast<std::size_t>(port)].name;
  }
  return text;
}

}  // namespace

std::string matrix(const Graph& graph) {
  std::vector<NodeId> devices = of_kind(graph, NodeKind::gpu);
  const std::vector<NodeId> nics = of_kind(graph, NodeKind::nic);
  const auto by_index = [&](NodeId a, NodeId b) {
    return graph.nodes[static_cast<std::size_t>(a)].index <
           graph.nodes[static_cast<std::size_t>(b)].index;
  };
  std::sort(devices.begin(), devices.end(), by_index);
  const auto first_nic = static_cast<std::ptrdiff_t>(devices.size());
  devices.insert(devices.end(), nics.begin(), nics.end());
  std::sort(devices.begin() + first_nic, devices.end(), by_index);
  if (devices.empty()) {
    return "There is no GPU and no NIC here.\n";
  }
  std::vector<Row> rows = {{""}};
  std::set<PathClass> seen;
  for (const NodeId id : devices) {
    rows[0].push_back(label(graph.nodes[static_cast<std::size_t>(id)]));
  }
  rows[0].insert(rows[0].end(), {"CPUs", "NUMA"});
  const Paths paths(graph);
  std::string legend;
  for (const NodeId from : devices) {
    const Node& node = graph.nodes[static_cast<std::size_t>(from)];
    Row row = {label(node)};
    for (const NodeId to : devices) {
      const Path found = paths.between(from, to);
      seen.insert(found.kind);
      row.push_back(letters(found));
    }
    const NodeId numa = above(graph, from, NodeKind::numa);
    const bool known = numa != kNoNode;
    row.emplace_back(known ? value_of(graph.nodes[static_cast<std::size_t>(numa)], "cpus") : "");
    row.push_back(known ? fmt::format("{}", graph.nodes[static_cast<std::size_t>(numa)].index)
                        : "");
    rows.push_back(std::move(row));
    const std::string what =
        node.kind == NodeKind::nic ? port_names(graph, from) : std::string(value_of(node, "model"));
    legend +=
        fmt::format("  {:<6} {}{}{}\n", label(node), node.bus_id, what.empty() ? "" : "  ", what);
  }
  std::string text = table(rows) + "\n" + legend + "\n";
  for (const PathClass kind : seen) {
    Path example{.kind = kind};
    const std::string letter = kind == PathClass::direct ? "NV# XG#" : letters(example);
    text += fmt::format("  {:<8} {}\n", letter, explain(kind));
  }
  return text;
}

}  // namespace tutti::topology
