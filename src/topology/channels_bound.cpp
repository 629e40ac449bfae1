#include "topology/channels_bound.h"

#include <algorithm>
#include <map>
#include <utility>

namespace tutti::topology {
namespace {

// Below this share of the flow a rest is the rounding of doubles.
constexpr double kRounding = 1e-9;

// Augmenting paths by breadth first: few vertices, few arcs.
class FlowSearch {
 public:
  FlowSearch(const Wiring& wiring, const std::vector<double>& capacities)
      : out_(static_cast<std::size_t>(wiring.vertices)), rest_(capacities) {
    rest_.resize(2 * capacities.size());
    for (std::size_t i = 0; i < wiring.arcs.size(); ++i) {
      ends_.emplace_back(wiring.arcs[i].from, wiring.arcs[i].to);
    }
    for (std::size_t i = 0; i < wiring.arcs.size(); ++i) {
      ends_.emplace_back(wiring.arcs[i].to, wiring.arcs[i].from);
      out_[static_cast<std::size_t>(wiring.arcs[i].from)].push_back(i);
      out_[static_cast<std::size_t>(wiring.arcs[i].to)].push_back(i + wiring.arcs.size());
    }
  }

  Flow run(const std::vector<int>& from, const std::vector<int>& to) {
    Flow flow;
    for (;;) {
      const int end = reach(from, to);
      flow.near.clear();
      for (const int came : came_) {
        flow.near.push_back(came != kNot);
      }
      if (end < 0) {
        return flow;
      }
      const double more = augment(end);
      flow.bandwidth += more;
      if (more == kUnlimited) {
        return flow;
      }
    }
  }

 private:
  static constexpr int kNot = -2;
  static constexpr int kSource = -1;

  // One of `to` that is reached, -1 if none is.
  int reach(const std::vector<int>& from, const std::vector<int>& to) {
    came_.assign(out_.size(), kNot);
    std::vector<int> queue = from;
    for (const int vertex : from) {
      came_[static_cast<std::size_t>(vertex)] = kSource;
    }
    for (std::size_t i = 0; i < queue.size(); ++i) {
      if (std::find(to.begin(), to.end(), queue[i]) != to.end()) {
        return queue[i];
      }
      for (const std::size_t arc : out_[static_cast<std::size_t>(queue[i])]) {
        const int next = ends_[arc].second;
        if (rest_[arc] > kRounding * 1e9 && came_[static_cast<std::size_t>(next)] == kNot) {
          came_[static_cast<std::size_t>(next)] = static_cast<int>(arc);
          queue.push_back(next);
        }
      }
    }
    return -1;
  }

  double augment(int end) {
    double least = kUnlimited;
    const auto walk = [&](auto&& visit) {
      for (int vertex = end; came_[static_cast<std::size_t>(vertex)] != kSource;) {
        const auto arc = static_cast<std::size_t>(came_[static_cast<std::size_t>(vertex)]);
        visit(arc);
        vertex = ends_[arc].first;
      }
    };
    walk([&](std::size_t arc) { least = std::min(least, rest_[arc]); });
    if (least < kUnlimited) {
      const std::size_t half = rest_.size() / 2;
      walk([&](std::size_t arc) {
        rest_[arc] -= least;
        rest_[arc < half ? arc + half : arc - half] += least;
      });
    }
    return least;
  }

  std::vector<std::vector<std::size_t>> out_;
  std::vector<double> rest_;  // of each arc, then of what could be taken back
  std::vector<std::pair<int, int>> ends_;
  std::vector<int> came_;
};

std::vector<int> terminals(const Wiring& wiring) {
  std::vector<int> all(wiring.members.begin(), wiring.members.end());
  if (!wiring.ports.empty()) {
    all.push_back(wiring.network);
  }
  return all;
}

// Data that left by a port comes back by the same one: a ring through the network is closed without
// it, and between two members of a machine the network is no way.
std::vector<double> without_network(const Wiring& wiring, std::vector<double> capacities) {
  for (std::size_t i = 0; i < capacities.size(); ++i) {
    if (wiring.arcs[i].from == wiring.network || wiring.arcs[i].to == wiring.network) {
      capacities[i] = 0;
    }
  }
  return capacities;
}

void lower(Bound& bound, double bandwidth, std::vector<NodeId> narrow) {
  if (bandwidth < bound.bandwidth * (1 - kRounding)) {
    bound = {bandwidth, std::move(narrow)};
  }
}

// The smaller side of the cut, in members; the network stands for no member.
std::vector<NodeId> side(const Wiring& wiring, const Flow& flow) {
  std::vector<NodeId> near;
  std::vector<NodeId> far;
  for (const NodeId member : wiring.members) {
    (flow.near[static_cast<std::size_t>(member)] ? near : far).push_back(member);
  }
  return far.empty() || (!near.empty() && near.size() <= far.size()) ? near : far;
}

// Members by what they are below; one that is below nothing of the kind is a group of its own.
std::vector<std::vector<int>> groups(const Graph& graph, const Wiring& wiring, NodeKind kind) {
  std::map<NodeId, std::vector<int>> by_node;
  std::vector<std::vector<int>> result;
  for (const NodeId member : wiring.members) {
    const NodeId node = above(graph, member, kind);
    if (node == kNoNode) {
      result.push_back({member});
    } else {
      by_node[node].push_back(member);
    }
  }
  for (auto& [node, members] : by_node) {
    result.push_back(std::move(members));
  }
  return result;
}

double partition_bound(const Wiring& wiring, const std::vector<double>& capacities,
                       std::vector<std::vector<int>> parts) {
  if (!wiring.ports.empty()) {
    parts.push_back({wiring.network});
  }
  if (parts.size() < 2) {
    return kUnlimited;
  }
  double sum = 0;
  for (const std::vector<int>& part : parts) {
    std::vector<int> rest;
    for (const std::vector<int>& other : parts) {
      if (&other != &part) {
        rest.insert(rest.end(), other.begin(), other.end());
      }
    }
    sum += max_flow(wiring, capacities, part, rest).bandwidth;
  }
  return sum / (2 * static_cast<double>(parts.size() - 1));
}

}  // namespace

Flow max_flow(const Wiring& wiring, const std::vector<double>& capacities,
              const std::vector<int>& from, const std::vector<int>& to) {
  return FlowSearch(wiring, capacities).run(from, to);
}

Bound ring_bound(const Wiring& wiring, const std::vector<double>& capacities) {
  Bound bound{.bandwidth = kUnlimited};
  const std::vector<int> all = terminals(wiring);
  const std::vector<double> inner = without_network(wiring, capacities);
  for (std::size_t i = 1; i < all.size(); ++i) {
    const bool to_member = i < wiring.members.size();
    for (const auto& [from, to] : {std::pair(all[0], all[i]), std::pair(all[i], all[0])}) {
      const Flow flow = max_flow(wiring, to_member ? inner : capacities, {from}, {to});
      lower(bound, flow.bandwidth, side(wiring, flow));
    }
  }
  return bound;
}

Bound tree_bound(const Graph& graph, const Wiring& wiring, const std::vector<double>& capacities) {
  Bound bound = ring_bound(wiring, capacities);
  for (const NodeKind kind :
       {wiring.members.empty() ? NodeKind::gpu
                               : graph.nodes[static_cast<std::size_t>(wiring.members[0])].kind,
        NodeKind::pci_switch, NodeKind::numa, NodeKind::package}) {
    lower(bound, partition_bound(wiring, capacities, groups(graph, wiring, kind)), wiring.members);
  }
  return bound;
}

}  // namespace tutti::topology
