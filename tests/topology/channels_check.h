// A check of channels that shares no code with the search: every ring passes every GPU once, and no
// GPU, link or port carries more than it can.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "topology/channels.h"

namespace tutti::topology::test {

// Direct NVLinks alone: the sum over rings for each direction of each link.
inline void expect_links_hold(const Graph& graph, const std::vector<Ring>& rings) {
  std::map<std::pair<NodeId, NodeId>, double> used;
  for (const Ring& ring : rings) {
    for (std::size_t i = 0; i < ring.members.size(); ++i) {
      used[{ring.members[i], ring.members[(i + 1) % ring.members.size()]}] += ring.bandwidth;
    }
  }
  for (const auto& [ends, sum] : used) {
    const Link* const link = find_link(graph, ends.first, ends.second, LinkKind::nvlink);
    ASSERT_NE(link, nullptr) << "no link from " << ends.first << " to " << ends.second;
    EXPECT_LE(sum, link->bandwidth * 1.000001);
  }
}

// What channels put on every direction of every link and on the NVSwitch ports of every GPU. It
// finds the ways by itself: GPU links where there are some, otherwise up the tree and down again.
class Traffic {
 public:
  explicit Traffic(const Graph& graph) : graph_(graph), gpus_(members_of(graph)) {
    std::map<NodeId, int> ports;  // of each GPU
    for (const NodeId port : of_kind(graph, NodeKind::port)) {
      const auto key = [&](NodeId gpu) { return std::pair(distance(port, gpu), ports[gpu]); };
      const NodeId near = *std::min_element(gpus_.begin(), gpus_.end(),
                                            [&](NodeId a, NodeId b) { return key(a) < key(b); });
      relays_[port] = near;
      ++ports[near];
    }
  }

  static std::vector<NodeId> members_of(const Graph& graph) {
    std::vector<NodeId> gpus = of_kind(graph, NodeKind::gpu);
    return gpus.empty() ? of_kind(graph, NodeKind::numa) : gpus;
  }

  void send(NodeId from, NodeId to, double bandwidth) {
    if (!send_fast(from, to, bandwidth) && !same_card(from, to)) {
      send_by_tree(from, to, bandwidth);
    }
  }
  // A GPU that is not the nearest to the port has its data relayed by the nearest, over GPU links.
  void enter(NodeId port, NodeId member, double bandwidth) {
    cross_wire(port, true, bandwidth);
    const NodeId relay = relay_of(port, member);
    send_by_tree(port, relay, bandwidth);
    if (relay != member) send_fast(relay, member, bandwidth);
  }
  void leave(NodeId port, NodeId member, double bandwidth) {
    const NodeId relay = relay_of(port, member);
    if (relay != member) send_fast(member, relay, bandwidth);
    send_by_tree(relay, port, bandwidth);
    cross_wire(port, false, bandwidth);
  }

  void expect_that_all_holds() const {
    for (const auto& [way, load] : loads_) {
      if (load.capacity > 0) {
        EXPECT_LE(load.used, load.capacity * 1.000001)
            << "from " << std::get<0>(way) << " to " << std::get<1>(way);
      }
    }
  }

 private:
  struct Load {
    double used = 0;
    double capacity = 0;  // 0: unknown
  };
  static constexpr NodeId kSwitches = -7;

  const Node& at(NodeId id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }
  bool same_card(NodeId a, NodeId b) const {
    return !at(a).bus_id.empty() && at(a).bus_id == at(b).bus_id;
  }
  void use(NodeId from, NodeId to, LinkKind kind, double bandwidth, double capacity) {
    Load& load = loads_[{from, to, kind}];
    load.used += bandwidth;
    load.capacity = capacity;
  }

  double switch_ports(NodeId gpu) const {
    double sum = 0;
    for (const Link& link : graph_.links) {
      const NodeId end = link.a == gpu ? link.b : link.b == gpu ? link.a : kNoNode;
      sum += end != kNoNode && at(end).kind == NodeKind::nvswitch ? link.bandwidth : 0;
    }
    return sum;
  }
  const Link* gpu_link(NodeId a, NodeId b) const {
    for (const LinkKind kind : {LinkKind::nvlink, LinkKind::xgmi, LinkKind::c2c}) {
      if (const Link* const link = find_link(graph_, a, b, kind)) return link;
    }
    return nullptr;
  }
  bool send_fast(NodeId from, NodeId to, double bandwidth) {
    if (const Link* const link = gpu_link(from, to)) {
      use(from, to, link->kind, bandwidth, link->bandwidth);
      return true;
    }
    const double out = switch_ports(from);
    const double in = switch_ports(to);
    if (out <= 0 || in <= 0) return false;
    use(from, kSwitches, LinkKind::nvlink, bandwidth, out);
    use(kSwitches, to, LinkKind::nvlink, bandwidth, in);
    return true;
  }

  NodeId common(NodeId a, NodeId b) const {
    std::vector<NodeId> line;
    for (; a != kNoNode; a = at(a).parent) line.push_back(a);
    while (std::find(line.begin(), line.end(), b) == line.end()) b = at(b).parent;
    return b;
  }
  void send_by_tree(NodeId from, NodeId to, double bandwidth) {
    const NodeId top = common(from, to);
    const auto below_top = [&](NodeId node) {
      while (node != top && at(node).parent != top) node = at(node).parent;
      return node;
    };
    const NodeId one = below_top(from);
    const NodeId two = below_top(to);
    const Link* const socket = find_link(graph_, one, two, LinkKind::socket);
    for (NodeId up = from; up != (socket ? one : top); up = at(up).parent) {
      step(up, at(up).parent, bandwidth);
    }
    for (NodeId down = to; down != (socket ? two : top); down = at(down).parent) {
      step(at(down).parent, down, bandwidth);
    }
    if (socket) use(one, two, LinkKind::socket, bandwidth, socket->bandwidth);
  }
  void step(NodeId from, NodeId to, double bandwidth) {
    for (const LinkKind kind : {LinkKind::pcie, LinkKind::inside}) {
      if (const Link* const link = find_link(graph_, from, to, kind)) {
        use(from, to, kind, bandwidth, link->bandwidth);
        return;
      }
    }
    ADD_FAILURE() << "no link from " << at(from).name << " to " << at(to).name;
  }
  void cross_wire(NodeId port, bool in, double bandwidth) {
    for (const Link& link : graph_.links) {
      if (link.kind == LinkKind::wire && link.a == port) {
        use(in ? link.b : port, in ? port : link.b, link.kind, bandwidth, link.bandwidth);
      }
    }
  }

  int distance(NodeId port, NodeId member) const {
    const NodeKind kind = at(common(port, member)).kind;
    return kind == NodeKind::pci_switch ? 0 : kind == NodeKind::numa ? 1 : 2;
  }
  NodeId relay_of(NodeId port, NodeId member) const {
    const NodeId near = relays_.at(port);
    const bool fast =
        gpu_link(near, member) || (switch_ports(near) > 0 && switch_ports(member) > 0);
    return fast && distance(port, near) < distance(port, member) ? near : member;
  }

  const Graph& graph_;
  std::vector<NodeId> gpus_;
  std::map<NodeId, NodeId> relays_;  // of each port
  std::map<std::tuple<NodeId, NodeId, LinkKind>, Load> loads_;
};

// What holds of rings and of trees: there are some, and their sum is what is said.
template <typename Channel>
void expect_sum(const Graph& graph, const Channels<Channel>& found) {
  EXPECT_FALSE(found.channels.empty());
  double sum = 0;
  for (const Channel& channel : found.channels) {
    EXPECT_THAT(channel.members, testing::UnorderedElementsAreArray(Traffic::members_of(graph)));
    sum += channel.bandwidth;
  }
  EXPECT_NEAR(sum, found.found, 1);
  EXPECT_LE(found.found, found.bound.bandwidth * 1.000001);
}

inline void expect_rings(const Graph& graph, const Channels<Ring>& found) {
  expect_sum(graph, found);
  Traffic traffic(graph);
  for (const Ring& ring : found.channels) {
    for (std::size_t i = 0; i + 1 < ring.members.size(); ++i) {
      traffic.send(ring.members[i], ring.members[i + 1], ring.bandwidth);
    }
    if (ring.port == kNoNode) {
      traffic.send(ring.members.back(), ring.members.front(), ring.bandwidth);
    } else {
      traffic.enter(ring.port, ring.members.front(), ring.bandwidth);
      traffic.leave(ring.port, ring.members.back(), ring.bandwidth);
    }
  }
  traffic.expect_that_all_holds();
}

inline void expect_trees(const Graph& graph, const Channels<Tree>& found) {
  expect_sum(graph, found);
  Traffic traffic(graph);
  for (const Tree& tree : found.channels) {
    ASSERT_EQ(tree.parents.size(), tree.members.size());
    EXPECT_EQ(tree.parents[0], -1);
    for (std::size_t i = 1; i < tree.parents.size(); ++i) {
      ASSERT_GE(tree.parents[i], 0);
      ASSERT_LT(tree.parents[i], static_cast<int>(i)) << "parents come first";
      const NodeId parent = tree.members[static_cast<std::size_t>(tree.parents[i])];
      traffic.send(parent, tree.members[i], tree.bandwidth);
      traffic.send(tree.members[i], parent, tree.bandwidth);
    }
    if (tree.port != kNoNode) {
      traffic.enter(tree.port, tree.members[0], tree.bandwidth);
      traffic.leave(tree.port, tree.members[0], tree.bandwidth);
    }
  }
  traffic.expect_that_all_holds();
}

}  // namespace tutti::topology::test
