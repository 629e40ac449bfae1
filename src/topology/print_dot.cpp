#include <fmt/format.h>

#include "topology/print.h"

namespace tutti::topology {
namespace {

std::string dot_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
    }
    result += c == '\n' || c == '\r' ? ' ' : c;
  }
  return result + '"';
}

bool hidden(NodeKind kind) {
  return kind == NodeKind::l3 || kind == NodeKind::core || kind == NodeKind::machine;
}

std::string_view colour(NodeKind kind) {
  switch (kind) {
    case NodeKind::gpu:
      return "#b7e1cd";
    case NodeKind::nic:
    case NodeKind::port:
      return "#fce8b2";
    case NodeKind::nvswitch:
      return "#d9d2e9";
    case NodeKind::pci_switch:
    case NodeKind::host_bridge:
      return "#e8eaed";
    default:
      return "#cfe2f3";
  }
}

std::string edge(const Graph& graph, const Link& link) {
  const Node& a = graph.nodes[static_cast<std::size_t>(link.a)];
  const Node& b = graph.nodes[static_cast<std::size_t>(link.b)];
  std::string label = link.kind == LinkKind::inside ? "" : std::string(name(link.kind));
  if (link.kind == LinkKind::nvlink || link.kind == LinkKind::xgmi) {
    label += fmt::format(" x{}", link.count);
  }
  if (link.bandwidth > 0) {
    // The two characters \n, which Graphviz takes for a new line.
    label += fmt::format(
        R"({}{})", R"(\n)",
        link.kind == LinkKind::wire ? bits_per_s(link.bandwidth) : bytes_per_s(link.bandwidth));
  }
  return fmt::format("  {} -- {} [label=\"{}\"];\n", dot_text(a.name), dot_text(b.name), label);
}

}  // namespace

std::string dot(const Graph& graph) {
  std::string text =
      "graph topology {\n  node [shape=box, style=filled, fontname=\"sans-serif\"];\n"
      "  edge [fontname=\"sans-serif\", fontsize=9];\n";
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!hidden(node.kind)) {
      const std::string_view second =
          node.bus_id.empty() ? std::string_view(value_of(node, "model")) : node.bus_id;
      std::string label = dot_text(node.name);
      if (!second.empty()) {
        label.insert(label.size() - 1, fmt::format("\\n{}", dot_text(second).substr(1)));
        label.pop_back();
      }
      text += fmt::format("  {} [label={}, fillcolor=\"{}\"];\n", dot_text(node.name), label,
                          colour(node.kind));
    }
  }
  for (const Link& link : graph.links) {
    if (!hidden(graph.nodes[static_cast<std::size_t>(link.a)].kind) &&
        !hidden(graph.nodes[static_cast<std::size_t>(link.b)].kind)) {
      text += edge(graph, link);
    }
  }
  return text + "}\n";
}

}  // namespace tutti::topology
