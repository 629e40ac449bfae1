// Graphs by hand: looking things up, what check() refuses, paths and their classes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/build.h"
#include "topology/graph.h"
#include "topology/path.h"
#include "topology/print.h"
#include "topology/rates.h"
#include "topology/synthetic.h"

namespace tutti::topology {
namespace {

using testing::HasSubstr;

Graph machine(std::string_view text) {
  auto graph = parse_synthetic(text);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return *std::move(graph);
}

std::string between(const Graph& graph, std::string_view from, std::string_view to) {
  return letters(path(graph, find(graph, from), find(graph, to)));
}

std::string fault(const Graph& graph) {
  return std::string(check(graph).message());
}

TEST(Graph, FindsByNameBusIdAndSystemDevice) {
  const Graph graph = machine("node{2 gpu, 1 nic 2 port}");
  const NodeId gpu = find(graph, "gpu1");
  ASSERT_NE(gpu, kNoNode);
  const std::string id = graph.nodes[static_cast<std::size_t>(gpu)].bus_id;
  EXPECT_EQ(find(graph, id), gpu);
  EXPECT_EQ(find(graph, id.substr(5)), gpu) << "without the domain";
  EXPECT_EQ(find(graph, "rdma0"), find(graph, "rdma0/1")) << "the first port of an RDMA device";
  EXPECT_EQ(find(graph, "gpu2"), kNoNode);
  EXPECT_EQ(find(graph, ""), kNoNode);
  EXPECT_EQ(above(graph, gpu, NodeKind::package), find(graph, "package0"));
  EXPECT_EQ(above(graph, gpu, NodeKind::nic), kNoNode);
}

TEST(Graph, CheckNamesWhatIsWrong) {
  EXPECT_THAT(fault({}), HasSubstr("the graph has no machine"));
  const Graph good = machine("node{2 gpu mesh}");
  Graph bad = good;
  bad.nodes.back().parent = 99;
  EXPECT_THAT(fault(bad), HasSubstr("has the parent 99"));
  bad = good;
  bad.nodes.back().name = "gpu0";
  EXPECT_THAT(fault(bad), HasSubstr("two nodes are named gpu0"));
  bad = good;
  bad.nodes.back().kind = NodeKind::machine;
  bad.nodes.back().parent = kNoNode;
  EXPECT_THAT(fault(bad), HasSubstr("is a machine"));
  bad = good;
  bad.links.back().bandwidth = -1;
  EXPECT_THAT(fault(bad), HasSubstr("of -1 bytes/s"));
  bad = good;
  bad.links.push_back(bad.links.back());
  EXPECT_THAT(fault(bad), HasSubstr("two nvlink links join gpu0 and gpu1"));
  bad = good;
  bad.links.erase(bad.links.begin());
  EXPECT_THAT(fault(bad), HasSubstr("no link joins package0 and its parent"));
}

TEST(Graph, CopiesOfANameAreNumbered) {
  Graph graph;
  for (int i = 0; i < 3; ++i) {
    add_node(graph, {.name = "a"});
  }
  add_node(graph, {.name = "a.2"});
  make_names_unique(graph);
  EXPECT_EQ(graph.nodes[2].name, "a.3");
  EXPECT_EQ(graph.nodes[3].name, "a.2.2");
}

TEST(Path, HasTheClassesOfNvidiaSmi) {
  const Graph graph =
      machine("node{2 package intel, 2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}");
  EXPECT_EQ(between(graph, "gpu0", "gpu0"), "X");
  EXPECT_EQ(between(graph, "gpu0", "gpu7"), "NV18");
  EXPECT_EQ(between(graph, "gpu0", "nic1"), "PIX");
  EXPECT_EQ(between(graph, "gpu0", "nic2"), "PHB");
  EXPECT_EQ(between(graph, "gpu0", "nic4"), "SYS");
}

// numa0 { bridge { s0 { s1 { gpu0, gpu1 }, s2 { nic0, gpu2 }, s3 { gpu3 } } }, bridge { nic1 } }
Graph switches() {
  Graph graph;
  const auto add = [&](NodeKind kind, NodeId parent) {
    return add_child(graph, {.kind = kind, .parent = parent});
  };
  add_node(graph, {.name = "machine"});
  const NodeId numa = add(NodeKind::numa, 0);
  const NodeId bridge = add(NodeKind::host_bridge, numa);
  const NodeId s0 = add(NodeKind::pci_switch, bridge);
  const NodeId s1 = add(NodeKind::pci_switch, s0);
  const NodeId s2 = add(NodeKind::pci_switch, s0);
  const NodeId s3 = add(NodeKind::pci_switch, s0);
  for (const NodeId parent : {s1, s1, s2, s3}) {
    add(NodeKind::gpu, parent);
  }
  add(NodeKind::nic, s2);
  add(NodeKind::nic, add(NodeKind::host_bridge, numa));
  EXPECT_TRUE(finish(graph).ok());
  return graph;
}

TEST(Path, CountsSwitchesButNotTheBridgeOfACard) {
  const Graph graph = switches();
  EXPECT_EQ(between(graph, "gpu0", "gpu1"), "PIX");
  EXPECT_EQ(between(graph, "gpu0", "nic0"), "PXB");
  EXPECT_EQ(between(graph, "gpu2", "nic0"), "PIX");
  EXPECT_EQ(between(graph, "gpu3", "gpu2"), "PXB");
  EXPECT_EQ(between(graph, "gpu0", "nic1"), "NODE");
}

TEST(Path, IsTheSameBothWays) {
  for (const char* text :
       {"node{2 numa, 8 gpu v100 cube, 4 nic 100G}",
        "node{2 package, 4 numa, 8 switch, 8 gpu nvswitch, 8 nic}", "node{8 gpu a100 ring}"}) {
    const Graph graph = machine(text);
    const Paths paths(graph);
    for (std::size_t a = 0; a < graph.nodes.size(); ++a) {
      for (std::size_t b = 0; b < graph.nodes.size(); ++b) {
        if (graph.nodes[a].kind == NodeKind::network || graph.nodes[b].kind == NodeKind::network) {
          continue;
        }
        const Path there = paths.between(static_cast<NodeId>(a), static_cast<NodeId>(b));
        const Path back = paths.between(static_cast<NodeId>(b), static_cast<NodeId>(a));
        EXPECT_EQ(letters(there), letters(back));
        EXPECT_EQ(there.bandwidth, back.bandwidth);
        ASSERT_EQ(there.links.size() + 1, there.nodes.size());
        EXPECT_THAT(there.links, testing::Each(testing::Ge(0))) << "every step has a link";
      }
    }
  }
}

TEST(Path, OfTheFabricHasTheBandwidthOfAllPorts) {
  const Graph graph = machine("node{8 gpu h100 nvswitch 4}");
  const Path found = path(graph, find(graph, "gpu0"), find(graph, "gpu5"));
  EXPECT_EQ(found.count, 18);
  EXPECT_DOUBLE_EQ(found.bandwidth, 450e9);
}

TEST(Build, NotesAVirtualMachineByGpusOnOneBus) {
  const auto notes = [](std::vector<std::string> ids) {
    Graph graph;
    add_node(graph, {.name = "machine"});
    const NodeId bridge = add_child(graph, {.kind = NodeKind::host_bridge, .parent = 0});
    for (std::string& id : ids) {
      add_child(graph, {.kind = NodeKind::gpu, .parent = bridge, .bus_id = std::move(id)});
    }
    EXPECT_TRUE(finish(graph).ok());
    return std::pair(graph.notes.size(), std::string(value_of(graph.nodes[1], "flattened")));
  };
  EXPECT_EQ(notes({"0000:10:1c.0", "0000:10:1d.0"}), std::pair(std::size_t{1}, std::string("yes")));
  EXPECT_EQ(notes({"0000:10:00.0", "0000:11:00.0"}), std::pair(std::size_t{0}, std::string()));
  EXPECT_EQ(notes({"0000:10:00.0", "0000:10:00.1"}), std::pair(std::size_t{0}, std::string()))
      << "functions of one card";
}

// Speeds without a width are no bandwidth: of a link that tells none, no lane is made up.
TEST(Build, AnIdleGpuOfUnknownWidthKeepsAnUnknownBandwidth) {
  for (const auto& [width, bandwidth] : {std::pair("16", 31.5e9), std::pair("", 0.0)}) {
    Graph graph;
    add_node(graph, {.kind = NodeKind::machine, .name = "machine"});
    Node gpu{.kind = NodeKind::gpu, .parent = 0, .bus_id = "0000:01:00.0"};
    set_attribute(gpu, {"link_speed", "2.5 GT/s PCIe", "test"});
    set_attribute(gpu, {"link_speed_max", "16.0 GT/s PCIe", "test"});
    set_attribute(gpu, {"link_width", width, "test"});
    const Link up = pcie_up(gpu, "test");
    add_child(graph, std::move(gpu), up);
    ASSERT_TRUE(finish(graph).ok());
    EXPECT_NEAR(graph.links[0].bandwidth, bandwidth, 0.1e9);
    EXPECT_EQ(graph.links[0].note.empty(), bandwidth == 0);
  }
}

// What docs/decisions/0010 says of NVLinks newer than our tables.
TEST(Rates, OfNvlinksThatAreNewToUs) {
  EXPECT_EQ(nvlink_bandwidth_of_sm(990), 50e9);
  EXPECT_EQ(nvlink_bandwidth(9), 50e9);
  EXPECT_EQ(nvlink_bandwidth_of_sm(0), 0) << "no compute capability is told";
  EXPECT_EQ(nvlink_version(0xffff), 0) << "hwloc's bandwidth counts as one link";
}

TEST(Rates, OfPcie) {
  EXPECT_NEAR(pcie_bandwidth(32, 16), 63.0e9, 0.1e9);
  EXPECT_EQ(pcie_bandwidth(2.5, 1), 250e6);
  EXPECT_EQ(pcie_bandwidth(32, 0), 0);
  EXPECT_EQ(gigatransfers("32.0 GT/s PCIe"), 32);
  EXPECT_EQ(gigatransfers("Unknown"), 0);
  for (const double rate : {2.5, 5.0, 8.0, 16.0, 32.0, 64.0}) {
    const PcieLink link = pcie_link(pcie_bandwidth(rate, 16));
    EXPECT_EQ(link.gigatransfers, rate);
    EXPECT_EQ(link.lanes, 16);
  }
  EXPECT_EQ(pcie_link(1.5).lanes, 0);
}

TEST(Build, BusIdsAndMasks) {
  EXPECT_EQ(bus_id("AF:00.0"), "0000:af:00.0");
  EXPECT_EQ(bus_id("10000:01:00.1"), "10000:01:00.1");
  for (const char* text : {"", "nvswitch0", "0000:01:00", "0000:01:00.", "zzzz:01:00.0"}) {
    EXPECT_EQ(bus_id(text), "") << text;
  }
  EXPECT_EQ(cpus_of_mask("000000ff,ffff0000,00000001"), "0,48-71");
  EXPECT_EQ(cpus_of_mask("0x000000ff,,0x1"), "0,64-71") << "hwloc leaves words of zero out";
  EXPECT_EQ(cpus_of_mask("0xf...f"), "");
  EXPECT_EQ(mask_of_cpus("0,48-71"), "000000ff,ffff0000,00000001");
}

}  // namespace
}  // namespace tutti::topology
