// Channels of machines of every kind, held against channels_check.h.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include "topology/channels.h"
#include "topology/channels_check.h"
#include "topology/machines.h"
#include "topology/print.h"
#include "topology/search_time.h"

namespace tutti::topology {
namespace {

using test::expect_links_hold;
using test::expect_rings;
using test::expect_trees;
using test::machine;
using testing::HasSubstr;

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
