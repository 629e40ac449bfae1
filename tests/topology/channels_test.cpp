// Channels, held against a check that shares no code with the search: every ring passes every GPU
// once, and no GPU, link or port carries more than it can.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include "topology/channels.h"
#include "topology/machines.h"
#include "topology/print.h"
#include "topology/search_time.h"

namespace tutti::topology {
namespace {

using test::machine;
using testing::HasSubstr;

// Direct NVLinks alone: the sum over rings for each direction of each link.
void expect_links_hold(const Graph& graph, const std::vector<Ring>& rings) {
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

void expect_rings(const Graph& graph, const Channels<Ring>& found) {
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

void expect_trees(const Graph& graph, const Channels<Tree>& found) {
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

template <typename Check>
bool fails(const Check& check) {
  testing::TestPartResultArray failures;
  const testing::ScopedFakeTestPartResultReporter reporter(
      testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
  check();
  return failures.size() > 0;
}

template <typename Channel>
Channels<Channel> doubled(Channels<Channel> channels) {
  for (Channel& channel : channels.channels) channel.bandwidth *= 2;
  channels.found *= 2;
  channels.bound.bandwidth *= 2;
  return channels;
}

// The check itself: twice the bandwidth of a search that reached the bound is too much somewhere.
TEST(ChannelsCheck, SeesALinkThatCarriesTooMuchAndAnEmptyList) {
  for (const char* const text :
       {"node{4 gpu a100 mesh}", "node{2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}",
        "node{2 numa, 4 switch, 8 gpu, 4 nic 100G}"}) {
    const Graph graph = machine(text);
    const MachineChannels found = find_channels(graph);
    EXPECT_TRUE(fails([&] { expect_rings(graph, doubled(found.rings)); })) << text;
    EXPECT_TRUE(fails([&] { expect_trees(graph, doubled(found.trees)); })) << text;
    EXPECT_TRUE(fails([&] { expect_rings(graph, doubled(found.rings_out)); })) << text;
  }
  const Graph graph = machine("node{4 gpu a100 mesh}");
  EXPECT_TRUE(fails([&] { expect_rings(graph, {}); }));
  EXPECT_TRUE(fails([&] { expect_trees(graph, {}); }));
}

TEST(Channels, UseAllSixLinksOfEachGpuOfACubeMesh) {
  const Graph graph = machine("node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}");
  const MachineChannels found = find_channels(graph);
  EXPECT_TRUE(found.fast);
  ASSERT_EQ(found.rings.channels.size(), 6U);
  expect_rings(graph, found.rings);
  expect_links_hold(graph, found.rings.channels);
  expect_rings(graph, found.rings_out);
  expect_trees(graph, found.trees);
  expect_trees(graph, found.trees_out);
  EXPECT_DOUBLE_EQ(found.rings.found, 150e9);
  EXPECT_DOUBLE_EQ(found.rings.bound.bandwidth, 150e9);
  EXPECT_LT(found.rings.steps, 5000);
}

TEST(Channels, AreFoundSoon) {
  for (const char* const text : {"node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}",
                                 "node{2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}",
                                 "node{2 numa, 4 switch, 8 gpu mesh x7, 8 nic 400G}"}) {
    const double ms = test::search_ms(machine(text));
    fmt::print("{}: {:.1f} ms\n", text, ms);
    EXPECT_LT(ms, test::kSearchMsMax);
  }
}

TEST(Channels, OfMeshesAreDecompositionsIntoRings) {
  for (const auto& [text, rings, rate] :
       {std::tuple("node{4 gpu a100 mesh}", 6U, 300e9),
        std::tuple("node{8 gpu mesh x7}", 7U, 175e9),
        std::tuple("node{8 gpu a100 ring}", 2U, 300e9), std::tuple("node{2 gpu mesh}", 1U, 450e9),
        std::tuple("node{5 gpu a100 mesh}", 4U, 300e9)}) {
    const Graph graph = machine(text);
    const MachineChannels found = find_channels(graph);
    expect_rings(graph, found.rings);
    expect_trees(graph, found.trees);
    expect_links_hold(graph, found.rings.channels);
    EXPECT_EQ(found.rings.channels.size(), rings) << text;
    EXPECT_NEAR(found.rings.found, rate, 1) << text;
  }
}

// 12.4 GB/s lead out of the narrowest GPU, over two links of which none is a share of that: whole
// shares never fill both. The best are two rings, one each way round.
TEST(Channels, WhereWaysOutHaveNoCommonMeasure) {
  Graph graph = machine("node{3 gpu mesh}");
  const std::vector<NodeId> gpus = of_kind(graph, NodeKind::gpu);
  const auto set = [&](int a, int b, double bandwidth) {
    for (Link& link : graph.links) {
      const std::pair ends(gpus[static_cast<std::size_t>(a)], gpus[static_cast<std::size_t>(b)]);
      if (std::minmax(link.a, link.b) == std::minmax(ends.first, ends.second)) {
        link.bandwidth = bandwidth;
      }
    }
  };
  set(0, 1, 10e9);
  set(0, 2, 7.3e9);
  set(1, 2, 5.1e9);
  const MachineChannels found = find_channels(graph);
  expect_rings(graph, found.rings);
  expect_links_hold(graph, found.rings.channels);
  EXPECT_GE(found.rings.found, 0.95 * 10.2e9);
}

TEST(Channels, OfSwitchesAreOneRingInsideAndOneForEachPort) {
  const Graph graph = machine("node{2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}");
  const MachineChannels found = find_channels(graph);
  ASSERT_EQ(found.rings.channels.size(), 1U);
  EXPECT_DOUBLE_EQ(found.rings.found, 450e9);
  expect_rings(graph, found.rings);
  expect_rings(graph, found.rings_out);
  expect_trees(graph, found.trees);
  expect_trees(graph, found.trees_out);
  EXPECT_EQ(found.rings_out.channels.size(), 8U);
  EXPECT_NEAR(found.rings_out.found, 400e9, 1);
  EXPECT_NEAR(found.trees.bound.bandwidth, 450e9 * 8 / 14, 1)
      << "sends of inner members count twice";
}

// Rates without a common measure: no equal shares make the bound.
TEST(Channels, PortsOfSeveralRatesAreFilled) {
  for (const char* const text :
       {"node{2 numa, 4 gpu nvswitch, 4 nic}", "node{2 numa, 4 switch, 8 gpu a100 mesh, 4 nic}"}) {
    Graph graph = machine(text);
    const std::array rates = {23e9, 50e9, 31e9, 17e9};
    for (std::size_t port = 0; port < rates.size(); ++port) {
      test::set_wire(graph, fmt::format("rdma{}", port), rates[port]);
    }
    const MachineChannels found = find_channels(graph);
    expect_rings(graph, found.rings_out);
    expect_trees(graph, found.trees_out);
    EXPECT_GE(found.rings_out.quality(), 0.95) << text;
    EXPECT_GE(found.trees_out.quality(), 0.9) << text;
  }
}

TEST(Channels, TreesAreFoundForARackOfGpus) {
  for (const int gpus : {68, 72, 128}) {
    const Graph graph =
        machine("node{2 numa, " + std::to_string(gpus) + " gpu nvswitch, 8 nic 400G}");
    const MachineChannels found = find_channels(graph);
    ASSERT_FALSE(found.trees.channels.empty()) << gpus;
    ASSERT_FALSE(found.trees_out.channels.empty()) << gpus;
    expect_trees(graph, found.trees);
    expect_trees(graph, found.trees_out);
    EXPECT_LE(found.trees.steps, kChannelSteps);
  }
}

TEST(Channels, NoneFoundIsNotAnUnknownBandwidth) {
  const Graph graph = machine("node{4 gpu a100 mesh}");
  const std::string text = channels_text(graph, find_channels(graph, 1));
  EXPECT_THAT(text, HasSubstr("trees: 0, none found of at most 200.0 GB/s (0.0 %)"));
  EXPECT_THAT(text, testing::Not(HasSubstr("unknown")));
}

TEST(Channels, GoOverPcieWhereNothingElseIs) {
  const Graph graph = machine("node{2 numa, 4 switch, 8 gpu, 4 nic 100G}");
  const MachineChannels found = find_channels(graph);
  EXPECT_FALSE(found.fast);
  expect_rings(graph, found.rings);
  expect_rings(graph, found.rings_out);
  expect_trees(graph, found.trees);
  expect_trees(graph, found.trees_out);
  EXPECT_EQ(found.rings.quality(), 1);
  EXPECT_NEAR(found.rings_out.found, 50e9, 1);
}

// Every state that a port can have before "active", and a rate that nobody tells.
TEST(Channels, DoNotUsePortsThatAreDown) {
  Graph graph = machine("node{2 numa, 4 gpu nvswitch, 8 nic 100G}");
  const std::vector<NodeId> ports = of_kind(graph, NodeKind::port);
  const auto set_state = [&](std::size_t port, const char* state) {
    set_attribute(graph.nodes[static_cast<std::size_t>(ports[port])], {"state", state, "test"});
  };
  set_state(0, "down");
  set_state(1, "init");
  set_state(3, "armed");
  set_state(4, "lowerlayerdown");
  set_state(5, "active");
  set_state(6, "up");
  for (Link& link : graph.links) {
    link.bandwidth = link.a == ports[7] && link.kind == LinkKind::wire ? 0 : link.bandwidth;
  }
  const MachineChannels found = find_channels(graph);
  EXPECT_EQ(found.left_out.size(), 4U);
  EXPECT_EQ(found.ports_unrated, 1);
  ASSERT_FALSE(found.rings_out.channels.empty());
  ASSERT_FALSE(found.trees_out.channels.empty());
  const auto good = testing::AnyOf(ports[2], ports[5], ports[6], ports[7]);
  for (const Ring& ring : found.rings_out.channels) {
    EXPECT_THAT(ring.port, good);
  }
  for (const Tree& tree : found.trees_out.channels) {
    EXPECT_THAT(tree.port, good);
  }
  EXPECT_THAT(channels_text(graph, found),
              HasSubstr("left out: rdma0: its state is down\n"
                        "left out: rdma1: its state is init\n"
                        "left out: rdma3: its state is armed\n"
                        "left out: rdma4: its state is lowerlayerdown\n"
                        "1 port has no known rate: taken to limit nothing\n"));
}

TEST(Channels, HaveNoWayOutWhereAllPortsAreDown) {
  Graph graph = machine("node{2 gpu mesh, 1 nic 100G}");
  const NodeId port = of_kind(graph, NodeKind::port)[0];
  set_attribute(graph.nodes[static_cast<std::size_t>(port)], {"state", "down", "test"});
  const MachineChannels found = find_channels(graph);
  EXPECT_TRUE(found.rings_out.channels.empty());
  EXPECT_THAT(channels_text(graph, found),
              testing::EndsWith("left out: rdma0: its state is down\n"));
}

TEST(Channels, AreTheSameForTheSameGraph) {
  const Graph graph = machine("node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}");
  EXPECT_EQ(find_channels(graph),
            find_channels(machine("node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}")));
}

// What a source lists first makes no difference: names and bus ids number the devices.
TEST(Channels, AreTheSameInEveryOrderOfTheSource) {
  std::mt19937_64 random(test::seed());
  for (const char* const text :
       {"node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}", "node{4 gpu a100 mesh}",
        "node{2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}", "node{2 package, 2 numa, 8 gpu}",
        "node{2 numa, 4 switch, 8 gpu, 4 nic 100G 2 port}", "node{2 package amd, 4 numa}"}) {
    const Graph graph = machine(text);
    const std::string expected = channels_text(graph, find_channels(graph));
    for (int round = 0; round < 4; ++round) {
      const Graph same = test::reordered(graph, random);
      EXPECT_EQ(channels_text(same, find_channels(same)), expected) << text;
    }
  }
}

TEST(Channels, ABudgetOfAFewStepsFindsLessAndNothingFalse) {
  const Graph graph = machine("node{8 gpu mesh x7}");
  const MachineChannels found = find_channels(graph, 80);
  EXPECT_LE(found.rings.steps, 80 + 1);
  expect_rings(graph, found.rings);
  expect_links_hold(graph, found.rings.channels);
}

// Cards in partitions: inside one nothing limits, so that a bound of 0 would be wrong.
TEST(Channels, JoinPartitionsOfOneCard) {
  Graph graph = machine("node{4 gpu}");
  const std::vector<NodeId> gpus = of_kind(graph, NodeKind::gpu);
  const auto card = [&](std::size_t gpu, const char* bus_id) {
    graph.nodes[static_cast<std::size_t>(gpus[gpu])].bus_id = bus_id;
  };
  card(0, "0000:01:00.0");
  card(1, "0000:01:00.0");
  card(2, "0000:02:00.0");
  card(3, "0000:02:00.0");
  const MachineChannels two = find_channels(graph);
  expect_rings(graph, two.rings);
  EXPECT_NEAR(two.rings.found, two.rings.bound.bandwidth, 1);
  card(2, "0000:01:00.0");
  card(3, "0000:01:00.0");
  const MachineChannels one = find_channels(graph);
  EXPECT_EQ(one.rings.channels.size(), 1U) << "of an unknown bandwidth";
  EXPECT_EQ(one.rings.bound.bandwidth, 0);
  EXPECT_EQ(one.trees.channels.size(), 1U);
}

TEST(Channels, JoinNumaNodesWhereThereIsNoGpu) {
  const MachineChannels found = find_channels(machine("node{2 package amd, 2 numa}"));
  EXPECT_EQ(found.members.size(), 2U);
  EXPECT_EQ(found.rings.channels.size(), 1U);
}

TEST(Channels, TextSaysWhatIsFoundAndWhyNotMore) {
  const Graph graph = machine("node{4 gpu a100 mesh}");
  EXPECT_EQ(channels_text(graph, find_channels(graph)),
            "rings: 6, 300.0 GB/s of at most 300.0 GB/s (100.0 %); narrow at gpu0\n"
            "   50.0 GB/s  gpu0 gpu1 gpu2 gpu3\n"
            "   50.0 GB/s  gpu0 gpu3 gpu2 gpu1\n"
            "   50.0 GB/s  gpu0 gpu2 gpu3 gpu1\n"
            "   50.0 GB/s  gpu0 gpu1 gpu3 gpu2\n"
            "   50.0 GB/s  gpu0 gpu2 gpu1 gpu3\n"
            "   50.0 GB/s  gpu0 gpu3 gpu1 gpu2\n"
            "trees: 4, 200.0 GB/s of at most 200.0 GB/s (100.0 %); narrow at gpu0 gpu1 gpu2 gpu3\n"
            "   50.0 GB/s  gpu0 gpu2<gpu0 gpu1<gpu0 gpu3<gpu0\n"
            "   50.0 GB/s  gpu1 gpu2<gpu1 gpu3<gpu1 gpu0<gpu1\n"
            "   50.0 GB/s  gpu2 gpu3<gpu2 gpu0<gpu2 gpu1<gpu2\n"
            "   50.0 GB/s  gpu3 gpu0<gpu3 gpu1<gpu3 gpu2<gpu3\n");
  const Graph alone = machine("node{1 gpu}");
  EXPECT_THAT(channels_text(alone, find_channels(alone)), HasSubstr("There are no channels"));
}

}  // namespace
}  // namespace tutti::topology
