// Channels, held against a check that shares no code with the search: every ring passes every GPU
// once, and no GPU, link or port carries more than it can.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "topology/channels.h"
#include "topology/print.h"
#include "topology/synthetic.h"

namespace tutti::topology {
namespace {

using testing::HasSubstr;

Graph machine(std::string_view text) {
  auto graph = parse_synthetic(text);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return *std::move(graph);
}

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

void expect_rings(const Graph& graph, const Channels<Ring>& found) {
  const std::vector<NodeId> gpus = of_kind(graph, NodeKind::gpu);
  double sum = 0;
  std::map<NodeId, double> of_port;
  for (const Ring& ring : found.channels) {
    EXPECT_THAT(ring.members, testing::UnorderedElementsAreArray(gpus));
    sum += ring.bandwidth;
    of_port[ring.port] += ring.bandwidth;
  }
  EXPECT_NEAR(sum, found.found, 1);
  EXPECT_LE(found.found, found.bound.bandwidth * 1.000001);
  for (const Link& link : graph.links) {
    if (link.kind == LinkKind::wire && link.bandwidth > 0) {
      EXPECT_LE(of_port[link.a], link.bandwidth * 1.000001);
    }
  }
}

void expect_trees(const Graph& graph, const Channels<Tree>& found) {
  const std::vector<NodeId> gpus = of_kind(graph, NodeKind::gpu);
  for (const Tree& tree : found.channels) {
    EXPECT_THAT(tree.members, testing::UnorderedElementsAreArray(gpus));
    ASSERT_EQ(tree.parents.size(), tree.members.size());
    EXPECT_EQ(tree.parents[0], -1);
    for (std::size_t i = 1; i < tree.parents.size(); ++i) {
      EXPECT_GE(tree.parents[i], 0);
      EXPECT_LT(tree.parents[i], static_cast<int>(i)) << "parents come first";
    }
  }
  EXPECT_LE(found.found, found.bound.bandwidth * 1.000001);
}

TEST(Channels, UseAllSixLinksOfEachGpuOfACubeMesh) {
  const Graph graph = machine("node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}");
  const MachineChannels found = find_channels(graph);
  EXPECT_TRUE(found.fast);
  ASSERT_EQ(found.rings.channels.size(), 6U);
  expect_rings(graph, found.rings);
  expect_links_hold(graph, found.rings.channels);
  EXPECT_DOUBLE_EQ(found.rings.found, 150e9);
  EXPECT_DOUBLE_EQ(found.rings.bound.bandwidth, 150e9);
  EXPECT_LT(found.rings.steps, 5000);
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
  EXPECT_EQ(found.ports_down, 4);
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
              HasSubstr("4 ports are down: not used\n"
                        "1 port has no known rate: taken to limit nothing\n"));
}

TEST(Channels, HaveNoWayOutWhereAllPortsAreDown) {
  Graph graph = machine("node{2 gpu mesh, 1 nic 100G}");
  const NodeId port = of_kind(graph, NodeKind::port)[0];
  set_attribute(graph.nodes[static_cast<std::size_t>(port)], {"state", "down", "test"});
  const MachineChannels found = find_channels(graph);
  EXPECT_TRUE(found.rings_out.channels.empty());
  EXPECT_THAT(channels_text(graph, found), testing::EndsWith("1 port is down: not used\n"));
}

TEST(Channels, AreTheSameForTheSameGraph) {
  const Graph graph = machine("node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}");
  EXPECT_EQ(find_channels(graph),
            find_channels(machine("node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}")));
}

TEST(Channels, ABudgetOfAFewStepsFindsLessAndNothingFalse) {
  const Graph graph = machine("node{8 gpu mesh x7}");
  const MachineChannels found = find_channels(graph, 40);
  EXPECT_LE(found.rings.steps, 40 + 1);
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
