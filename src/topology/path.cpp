#include "topology/path.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace tutti::topology {
namespace {

bool is_fast(const Link& link) {
  return link.kind == LinkKind::nvlink || link.kind == LinkKind::xgmi || link.kind == LinkKind::c2c;
}

// A graph and which links each of its nodes has.
struct Cabling {
  const Graph& graph;
  const std::vector<std::vector<int>>& links;

  const std::vector<int>& at_node(NodeId id) const { return links[static_cast<std::size_t>(id)]; }
  const Link& link(int index) const { return graph.links[static_cast<std::size_t>(index)]; }
};

// From a node up to its root, both included.
std::vector<NodeId> line_up(const Graph& graph, NodeId node) {
  std::vector<NodeId> line;
  for (; node != kNoNode; node = at(graph, node).parent) {
    line.push_back(node);
  }
  return line;
}

// The links along the nodes, the bandwidth of the narrowest and the sum of latencies.
void follow(const Cabling& cabling, Path& path) {
  double narrowest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i + 1 < path.nodes.size(); ++i) {
    const NodeId next = path.nodes[i + 1];
    int best = -1;
    for (const int index : cabling.at_node(path.nodes[i])) {
      const Link& link = cabling.link(index);
      // Where the tree's own link and a fast one join the same two, the tree's is meant.
      if (other(link, path.nodes[i]) == next && (best < 0 || !is_fast(link))) {
        best = index;
      }
    }
    path.links.push_back(best);
    if (best >= 0) {
      const Link& link = cabling.link(best);
      narrowest = link.bandwidth > 0 ? std::min(narrowest, link.bandwidth) : narrowest;
      path.latency_s += link.latency_s;
    }
  }
  path.bandwidth = narrowest == std::numeric_limits<double>::infinity() ? 0 : narrowest;
}

// Up from `from`, down to `to`; two packages or NUMA nodes that a socket link joins are neighbours.
std::vector<NodeId> along_tree(const Graph& graph, NodeId from, NodeId to) {
  std::vector<NodeId> up = line_up(graph, from);
  std::vector<NodeId> down = line_up(graph, to);
  NodeId common = kNoNode;
  while (!up.empty() && !down.empty() && up.back() == down.back()) {
    common = up.back();
    up.pop_back();
    down.pop_back();
  }
  const bool neighbours = !up.empty() && !down.empty() &&
                          find_link(graph, up.back(), down.back(), LinkKind::socket) != nullptr;
  if (common != kNoNode && !neighbours) {
    up.push_back(common);
  }
  up.insert(up.end(), down.rbegin(), down.rend());
  return up;
}

PathClass class_of(const Graph& graph, const std::vector<NodeId>& nodes) {
  int switches = 0;
  PathClass worst = PathClass::one_switch;
  for (const NodeId id : nodes) {
    const NodeKind kind = at(graph, id).kind;
    if (kind == NodeKind::pci_switch) {
      // A switch with one device below is the bridge of that device's card.
      switches += children(graph, id).size() > 1 ? 1 : 0;
    } else if (kind == NodeKind::machine || kind == NodeKind::network) {
      return PathClass::system;
    } else if (kind == NodeKind::host_bridge) {
      worst = std::max(worst, PathClass::host_bridge);
    }
  }
  const auto crossed = [&](NodeKind kind) {
    return std::count_if(nodes.begin(), nodes.end(),
                         [&](NodeId id) { return at(graph, id).kind == kind; });
  };
  const auto numa = crossed(NodeKind::numa);
  if (numa > 1 || crossed(NodeKind::package) > (numa > 0 ? 0 : 1)) {
    return PathClass::system;
  }
  if (crossed(NodeKind::host_bridge) > 1) {
    return PathClass::numa;
  }
  if (numa > 0 || crossed(NodeKind::package) > 0) {
    return PathClass::host_bridge;
  }
  return worst == PathClass::one_switch && switches > 1 ? PathClass::switches : worst;
}

// What of a device's NVLinks ends at NVSwitches.
struct Ports {
  int count = 0;
  double bandwidth = 0;
  double latency_s = 0;
  std::vector<NodeId> switches;
};

Ports switch_ports(const Cabling& cabling, NodeId device) {
  Ports ports;
  for (const int index : cabling.at_node(device)) {
    const Link& link = cabling.link(index);
    if (link.kind == LinkKind::nvlink &&
        at(cabling.graph, other(link, device)).kind == NodeKind::nvswitch) {
      ports.count += link.count;
      ports.bandwidth += link.bandwidth;
      ports.latency_s = link.latency_s;
      ports.switches.push_back(other(link, device));
    }
  }
  return ports;
}

// A chain of NVSwitches from one that `from` has to one that `to` has, empty if there is none.
std::vector<NodeId> through_switches(const Cabling& cabling, const Ports& from, const Ports& to) {
  const Graph& graph = cabling.graph;
  std::vector<NodeId> came(graph.nodes.size(), kNoNode);
  std::vector<NodeId> queue = from.switches;
  for (const NodeId id : queue) {
    came[static_cast<std::size_t>(id)] = id;
  }
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const NodeId here = queue[i];
    if (std::find(to.switches.begin(), to.switches.end(), here) != to.switches.end()) {
      std::vector<NodeId> chain = {here};
      while (came[static_cast<std::size_t>(chain.back())] != chain.back()) {
        chain.push_back(came[static_cast<std::size_t>(chain.back())]);
      }
      std::reverse(chain.begin(), chain.end());
      return chain;
    }
    for (const int index : cabling.at_node(here)) {
      const Link& link = cabling.link(index);
      const NodeId next = other(link, here);
      if (link.kind == LinkKind::nvlink && at(graph, next).kind == NodeKind::nvswitch &&
          came[static_cast<std::size_t>(next)] == kNoNode) {
        came[static_cast<std::size_t>(next)] = here;
        queue.push_back(next);
      }
    }
  }
  return {};
}

// Direct links, or a fabric of NVSwitches; `count` stays 0 where there is neither. NVSwitches do
// not block, so the ports of the two ends bound what fits through.
Path fast_path(const Cabling& cabling, NodeId from, NodeId to) {
  Path found;
  for (const int index : cabling.at_node(from)) {
    const Link& link = cabling.link(index);
    if (is_fast(link) && other(link, from) == to) {
      found = {PathClass::direct, link.kind,  link.count, link.bandwidth,
               link.latency_s,    {from, to}, {index}};
    }
  }
  if (found.count > 0) {
    return found;
  }
  const Ports a = switch_ports(cabling, from);
  const Ports b = switch_ports(cabling, to);
  std::vector<NodeId> chain = through_switches(cabling, a, b);
  if (chain.empty()) {
    return found;
  }
  found.nodes = {from};
  found.nodes.insert(found.nodes.end(), chain.begin(), chain.end());
  found.nodes.push_back(to);
  follow(cabling, found);
  found.kind = PathClass::direct;
  found.link = LinkKind::nvlink;
  found.count = std::min(a.count, b.count);
  found.bandwidth = std::min(a.bandwidth, b.bandwidth);
  return found;
}

}  // namespace

Path Paths::between(NodeId from, NodeId to) const {
  if (from == to) {
    return {.kind = PathClass::same, .nodes = {from}};
  }
  const Cabling cabling{*graph_, links_};
  Path result = fast_path(cabling, from, to);
  if (result.count > 0) {
    return result;
  }
  result.nodes = along_tree(*graph_, from, to);
  result.kind = class_of(*graph_, result.nodes);
  const std::string& bus_id = at(*graph_, from).bus_id;
  if (!bus_id.empty() && bus_id == at(*graph_, to).bus_id) {
    result.kind = PathClass::same;
  }
  follow(cabling, result);
  return result;
}

Path path(const Graph& graph, NodeId from, NodeId to) {
  return Paths(graph).between(from, to);
}

std::string letters(const Path& path) {
  switch (path.kind) {
    case PathClass::same:
      return "X";
    case PathClass::direct:
      return path.link == LinkKind::c2c
                 ? "C2C"
                 : fmt::format("{}{}", path.link == LinkKind::xgmi ? "XG" : "NV", path.count);
    case PathClass::one_switch:
      return "PIX";
    case PathClass::switches:
      return "PXB";
    case PathClass::host_bridge:
      return "PHB";
    case PathClass::numa:
      return "NODE";
    case PathClass::system:
      return "SYS";
  }
  return {};
}

std::string explain(PathClass kind) {
  switch (kind) {
    case PathClass::same:
      return "the same device";
    case PathClass::direct:
      return "GPU links, directly or through NVSwitches";
    case PathClass::one_switch:
      return "at most one PCIe switch";
    case PathClass::switches:
      return "several PCIe switches, no host bridge";
    case PathClass::host_bridge:
      return "a PCIe host bridge";
    case PathClass::numa:
      return "between PCIe host bridges of one NUMA node";
    case PathClass::system:
      return "across NUMA nodes";
  }
  return {};
}

}  // namespace tutti::topology
