#include "topology/graph.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/try.h"

namespace tutti::topology {
namespace {

constexpr std::array<std::string_view, kNodeKinds> kNodeNames = {
    "machine", "package",  "numa", "l3",   "core",    "host_bridge", "pci_switch",
    "gpu",     "nvswitch", "nic",  "port", "network", "pci_device"};
constexpr std::array<std::string_view, kLinkKinds> kLinkNames = {
    "inside", "pcie", "nvlink", "xgmi", "c2c", "socket", "wire"};

bool is_bus_id(const Node& node, std::string_view what) {
  if (node.bus_id.empty()) {
    return false;
  }
  const std::string_view id = node.bus_id;
  return id == what || (id.starts_with("0000:") && id.substr(5) == what);
}

Status check_node(const Graph& graph, NodeId id) {
  const Node& node = graph.nodes[static_cast<std::size_t>(id)];
  const bool root = node.kind == NodeKind::machine || node.kind == NodeKind::network;
  if (root ? node.parent != kNoNode : node.parent < 0 || node.parent >= id) {
    return error(Code::internal, "topology: node {} ({}) has the parent {}", id, node.name,
                 node.parent);
  }
  if ((node.kind == NodeKind::machine) != (id == 0)) {
    return error(Code::internal, "topology: node {} ({}) is a {}", id, node.name, name(node.kind));
  }
  return {};
}

Status check_link(const Graph& graph, const Link& link) {
  const auto nodes = static_cast<NodeId>(graph.nodes.size());
  if (link.a < 0 || link.a >= link.b || link.b >= nodes || link.count < 1 ||
      !std::isfinite(link.bandwidth) || link.bandwidth < 0 || !std::isfinite(link.latency_s) ||
      link.latency_s < 0) {
    return error(Code::internal, "topology: a {} link joins {} and {}, {} of {} bytes/s and {} s",
                 name(link.kind), link.a, link.b, link.count, link.bandwidth, link.latency_s);
  }
  return {};
}

// Every node below another has a link to it, so that paths never break off.
Status check_tree(const Graph& graph) {
  if (graph.nodes.empty()) {
    return Status::error(Code::internal, "topology: the graph has no machine");
  }
  std::vector<bool> linked(graph.nodes.size(), false);
  for (const Link& link : graph.links) {
    const auto child = static_cast<std::size_t>(link.b);
    linked[child] = linked[child] || graph.nodes[child].parent == link.a;
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].parent != kNoNode && !linked[i]) {
      return error(Code::internal, "topology: no link joins {} and its parent",
                   graph.nodes[i].name);
    }
  }
  return {};
}

}  // namespace

std::string_view name(NodeKind kind) {
  return kNodeNames[static_cast<std::size_t>(kind)];
}
std::string_view name(LinkKind kind) {
  return kLinkNames[static_cast<std::size_t>(kind)];
}

Summary summary(const Graph& graph) {
  const auto count = [&](NodeKind kind) {
    return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                          [&](const Node& node) { return node.kind == kind; }));
  };
  Summary sum{.packages = count(NodeKind::package),
              .numa_nodes = count(NodeKind::numa),
              .cores = count(NodeKind::core),
              .gpus = count(NodeKind::gpu),
              .nvswitches = count(NodeKind::nvswitch),
              .nics = count(NodeKind::nic),
              .ports = count(NodeKind::port),
              .pci_switches = count(NodeKind::pci_switch)};
  for (const Link& link : graph.links) {
    if (link.kind == LinkKind::nvlink || link.kind == LinkKind::xgmi) {
      sum.nvlinks += link.count;
    }
  }
  return sum;
}

std::vector<NodeId> of_kind(const Graph& graph, NodeKind kind) {
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].kind == kind) {
      ids.push_back(static_cast<NodeId>(i));
    }
  }
  return ids;
}

std::vector<NodeId> children(const Graph& graph, NodeId node) {
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].parent == node) {
      ids.push_back(static_cast<NodeId>(i));
    }
  }
  return ids;
}

NodeId above(const Graph& graph, NodeId node, NodeKind kind) {
  while (node != kNoNode && graph.nodes[static_cast<std::size_t>(node)].kind != kind) {
    node = graph.nodes[static_cast<std::size_t>(node)].parent;
  }
  return node;
}

NodeId find(const Graph& graph, std::string_view what) {
  const auto first = [&](auto&& matches) {
    const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(), matches);
    return found == graph.nodes.end() ? kNoNode : static_cast<NodeId>(found - graph.nodes.begin());
  };
  if (const NodeId id = first([&](const Node& node) { return node.name == what; }); id >= 0) {
    return id;
  }
  if (const NodeId id = first([&](const Node& node) { return is_bus_id(node, what); }); id >= 0) {
    return id;
  }
  return first([&](const Node& node) {
    return !what.empty() && (node.kind == NodeKind::nic || node.kind == NodeKind::port) &&
           (value_of(node, "rdma") == what || value_of(node, "netdev") == what);
  });
}

const Attribute* find_attribute(const Node& node, std::string_view name) {
  const auto found =
      std::find_if(node.attributes.begin(), node.attributes.end(),
                   [&](const Attribute& attribute) { return attribute.name == name; });
  return found == node.attributes.end() ? nullptr : &*found;
}

std::string_view value_of(const Node& node, std::string_view name) {
  const Attribute* const attribute = find_attribute(node, name);
  return attribute ? std::string_view(attribute->value) : std::string_view();
}

std::vector<std::vector<int>> links_of(const Graph& graph) {
  std::vector<std::vector<int>> at(graph.nodes.size());
  for (std::size_t i = 0; i < graph.links.size(); ++i) {
    at[static_cast<std::size_t>(graph.links[i].a)].push_back(static_cast<int>(i));
    at[static_cast<std::size_t>(graph.links[i].b)].push_back(static_cast<int>(i));
  }
  return at;
}

const Link* find_link(const Graph& graph, NodeId a, NodeId b, LinkKind kind) {
  const auto [low, high] = std::minmax(a, b);
  for (const Link& link : graph.links) {
    if (link.a == low && link.b == high && link.kind == kind) {
      return &link;
    }
  }
  return nullptr;
}

std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

NodeId add_node(Graph& graph, Node node) {
  node.name = printable(std::move(node.name));
  graph.nodes.push_back(std::move(node));
  return static_cast<NodeId>(graph.nodes.size()) - 1;
}

NodeId add_child(Graph& graph, Node node, Link up) {
  up.a = node.parent;
  up.b = add_node(graph, std::move(node));
  add_link(graph, std::move(up));
  return static_cast<NodeId>(graph.nodes.size()) - 1;
}

void add_link(Graph& graph, Link link) {
  if (link.a > link.b) {
    std::swap(link.a, link.b);
  }
  graph.links.push_back(std::move(link));
}

void set_attribute(Node& node, Attribute attribute) {
  attribute.value.erase(attribute.value.find_last_not_of(" \n\t") + 1);
  if (attribute.value.empty()) {
    return;
  }
  attribute.value = printable(std::move(attribute.value));
  for (Attribute& known : node.attributes) {
    if (known.name == attribute.name) {
      known = std::move(attribute);
      return;
    }
  }
  node.attributes.push_back(std::move(attribute));
}

void make_names_unique(Graph& graph) {
  std::set<std::string, std::less<>> taken;
  std::map<std::string, int, std::less<>> copies;
  for (Node& node : graph.nodes) {
    const std::string wanted = node.name;
    while (!taken.insert(node.name).second) {
      node.name = fmt::format("{}.{}", wanted, ++copies.try_emplace(wanted, 1).first->second);
    }
  }
}

Status check(const Graph& graph) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    TUTTI_TRY(check_node(graph, static_cast<NodeId>(i)));
    if (!names.insert(graph.nodes[i].name).second) {
      return error(Code::internal, "topology: two nodes are named {}", graph.nodes[i].name);
    }
  }
  std::set<std::tuple<NodeId, NodeId, LinkKind>> seen;
  for (const Link& link : graph.links) {
    TUTTI_TRY(check_link(graph, link));
    if (!seen.emplace(link.a, link.b, link.kind).second) {
      return error(Code::internal, "topology: two {} links join {} and {}", name(link.kind),
                   graph.nodes[static_cast<std::size_t>(link.a)].name,
                   graph.nodes[static_cast<std::size_t>(link.b)].name);
    }
  }
  return check_tree(graph);
}

}  // namespace tutti::topology
