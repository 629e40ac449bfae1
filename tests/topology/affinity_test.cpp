// Where ranks belong, on machines of every kind: fewer, as many and more NICs than GPUs, NICs that
// are down, slow or behind the other socket, no GPU, few CPUs. affinity_check.h knows what must
// hold; the tests here know what should come out.
#include "topology/affinity.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pugixml.hpp>
#include <random>
#include <sstream>

#include "topology/affinity_check.h"
#include "topology/affinity_parts.h"
#include "topology/channels.h"
#include "topology/load.h"
#include "topology/machines.h"
#include "topology/nccl_xml.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

using test::machine;
using test::set;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Affinity affinity_of(const Graph& graph, const AffinityOptions& options = {}) {
  Affinity found = find_affinity(graph, options);
  test::expect_cpus(graph, found, options.allowed);
  test::expect_nics(graph, found);
  return found;
}

// "0-3 rdma0 rdma1", a rank's CPUs and own ports.
std::vector<std::string> lines(const Graph& graph, const Affinity& affinity) {
  std::vector<std::string> all;
  for (const RankAffinity& rank : affinity.ranks) {
    std::string line = list_of_numbers(rank.cpus);
    for (const RankNic& nic : rank.nics) {
      line += nic.own ? " " + graph.nodes[static_cast<std::size_t>(nic.port)].name : "";
    }
    all.push_back(std::move(line));
  }
  return all;
}

TEST(Affinity, AsManyNicsAsGpus) {
  const Graph graph = machine("node{2 numa, 4 switch, 4 gpu nvswitch, 4 nic 400G}");
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(lines(graph, found),
              ElementsAre("0-3 rdma0", "4-7 rdma1", "8-11 rdma2", "12-15 rdma3"));
  EXPECT_EQ(found.ranks[2].numa, find(graph, "numa1"));
  EXPECT_EQ(found.ranks[2].nics[0].path, PathClass::one_switch);
  EXPECT_DOUBLE_EQ(found.ranks[2].nics[0].bandwidth, 50e9);
  EXPECT_EQ(found.ranks[2].nics[1].port, find(graph, "rdma3")) << "the same NUMA node comes next";
  EXPECT_THAT(found.notes, IsEmpty());
}

TEST(Affinity, FewerNicsAreSharedByNeighbours) {
  const Graph graph = machine("node{2 numa, 8 gpu nvswitch, 4 nic 400G}");
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(lines(graph, found),
              ElementsAre("0-1 rdma0", "2-3 rdma0", "4-5 rdma1", "6-7 rdma1", "8-9 rdma2",
                          "10-11 rdma2", "12-13 rdma3", "14-15 rdma3"));
  EXPECT_EQ(found.notes[0],
            "ranks 0-1 (gpu0, gpu1) share rdma0 (50.0 GB/s): 25.0 GB/s each when all send");
}

TEST(Affinity, MoreNicsAreDealtOut) {
  const Graph graph = machine("node{2 numa, 4 gpu nvswitch, 8 nic 200G}");
  EXPECT_THAT(
      lines(graph, affinity_of(graph)),
      ElementsAre("0-3 rdma0 rdma1", "4-7 rdma2 rdma3", "8-11 rdma4 rdma5", "12-15 rdma6 rdma7"));
  const Graph three = machine("node{2 gpu, 3 nic 200G}");
  EXPECT_THAT(lines(three, affinity_of(three)), ElementsAre("0-3 rdma0 rdma2", "4-7 rdma1"));
  const Graph dual = machine("node{2 numa, 2 switch, 2 gpu, 2 nic 200G 2 port}");
  EXPECT_THAT(lines(dual, affinity_of(dual)),
              ElementsAre("0-7 rdma0/1 rdma0/2", "8-15 rdma1/1 rdma1/2"));
}

// Two GPUs of a socket without a NIC take those of the other, the less used ones.
TEST(Affinity, ANicBehindTheOtherSocketIsSaid) {
  const Graph graph = machine("node{2 package intel, 2 numa, 2 gpu, 1 nic 400G}");
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(lines(graph, found), ElementsAre("0-7 rdma0", "8-15 rdma0"));
  EXPECT_THAT(
      found.notes,
      ElementsAre("rank 1 (gpu1) reaches rdma0 across sockets (numa1 to numa0), at 40.0 GB/s "
                  "at most where the port has 50.0 GB/s; a NIC in a slot of numa1 would be "
                  "nearer",
                  "ranks 0-1 (gpu0, gpu1) share rdma0 (50.0 GB/s): 25.0 GB/s each when all "
                  "send"));
}

TEST(Affinity, APortThatIsDownIsLeftOutAndMissed) {
  Graph graph = machine("node{2 package amd, 2 numa, 2 gpu, 2 nic 400G}");
  set(graph, "rdma1", "state", "down");
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(lines(graph, found), ElementsAre("0-7 rdma0", "8-15 rdma0"));
  EXPECT_THAT(found.left_out, ElementsAre(LeftOut{find(graph, "rdma1"), "its state is down"}));
  EXPECT_THAT(found.notes, Contains(HasSubstr("rdma1 is nearer but down: bring it up")));
  set(graph, "rdma0", "state", "init");
  const Affinity none = affinity_of(graph);
  EXPECT_THAT(none.notes, ElementsAre("no port of a NIC can be used"));
  EXPECT_THAT(none.ranks[0].nics, IsEmpty());
}

TEST(Affinity, SlowPortsAreLeftOut) {
  Graph graph = machine("node{2 numa, 2 gpu, 4 nic 200G}");
  test::set_wire(graph, "rdma0", 1.25e9);
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(lines(graph, found), ElementsAre("0-7 rdma1", "8-15 rdma2 rdma3"));
  EXPECT_THAT(found.left_out,
              ElementsAre(LeftOut{find(graph, "rdma0"),
                                  "1.2 GB/s is less than a quarter of the fastest, 25.0 GB/s"}));
  test::set_wire(graph, "rdma0", 6.25e9);
  EXPECT_THAT(affinity_of(graph).left_out, IsEmpty()) << "a quarter is enough";
  test::set_wire(graph, "rdma1", 0);
  test::set_wire(graph, "rdma2", 10e9);
  test::set_wire(graph, "rdma3", 6.25e9);
  EXPECT_THAT(affinity_of(graph).left_out, IsEmpty()) << "a PCIe link is no rate";
  test::set_wire(graph, "rdma0", 0);
  EXPECT_THAT(affinity_of(graph).left_out, IsEmpty()) << "unknown, but its PCIe link is not slow";
}

TEST(Affinity, PortsOfAnotherNetworkAreLeftOut) {
  Graph graph = machine("node{1 numa, 1 gpu, 3 nic 200G}");
  set(graph, "rdma0", "link_layer", "Ethernet");
  set(graph, "rdma1", "link_layer", "InfiniBand");
  EXPECT_THAT(affinity_of(graph).left_out,
              ElementsAre(LeftOut{find(graph, "rdma0"),
                                  "its link layer is Ethernet; InfiniBand has more bandwidth"}));
  set(graph, "rdma2", "link_layer", "Ethernet");
  EXPECT_THAT(affinity_of(graph).left_out,
              ElementsAre(LeftOut{find(graph, "rdma1"),
                                  "its link layer is InfiniBand; Ethernet has more bandwidth"}));
}

TEST(Affinity, PlainAndVirtualNetworkDevicesAreLeftOutBesideOthers) {
  Graph graph = machine("node{1 numa, 1 gpu, 3 nic 200G}");
  std::erase_if(test::node(graph, "rdma0").attributes,
                [](const Attribute& one) { return one.name == "rdma"; });
  const NodeId plain = find(graph, "nic0");
  test::node(graph, "nic1").bus_id.clear();
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(lines(graph, found), ElementsAre("0-7 rdma2"));
  EXPECT_EQ(graph.nodes[static_cast<std::size_t>(found.left_out[0].port)].parent, plain);
  EXPECT_EQ(found.left_out[0].why, "it has no RDMA device; others have one");
  EXPECT_EQ(found.left_out[1].why,
            "no PCI device is behind it, as behind virtual networks; others have one");
}

// Where somebody numbered the rails, that order holds and not that of bus ids.
TEST(Affinity, RailsAreInTheOrderOfTheirNumbers) {
  Graph graph = machine("node{1 numa, 3 gpu, 3 nic 200G}");
  set(graph, "rdma0", "rail", "2");
  set(graph, "rdma1", "rail", "0");
  EXPECT_THAT(lines(graph, affinity_of(graph)), ElementsAre("0-1 rdma1", "2-4 rdma0", "5-7 rdma2"))
      << "those without a number come last";
}

TEST(Affinity, APortThatIsNearestToNobodyIsUnused) {
  const Graph graph = machine("node{2 numa, 2 switch, 2 gpu, 2 nic 200G}");
  const Affinity found = affinity_of(graph, {.ranks = 1});
  EXPECT_THAT(lines(graph, found), ElementsAre("0-7 rdma0"));
  EXPECT_THAT(found.notes, ElementsAre("rdma1 is unused: every rank has a nearer port"));
}

TEST(Affinity, WithoutAGpuRanksAreDealtToNumaNodes) {
  const Graph graph = machine("node{2 package, 2 numa, 4 core, 2 nic 100G}");
  EXPECT_THAT(lines(graph, affinity_of(graph)), ElementsAre("0-1 rdma0", "2-3 rdma1"));
  EXPECT_THAT(lines(graph, affinity_of(graph, {.ranks = 3})),
              ElementsAre("0 rdma0", "1 rdma0", "2-3 rdma1"));
  EXPECT_THAT(lines(graph, affinity_of(graph, {.ranks = 4})),
              ElementsAre("0 rdma0", "1 rdma0", "2 rdma1", "3 rdma1"));
  const Affinity many = affinity_of(graph, {.ranks = 5});
  EXPECT_TRUE(many.cpus_overlap);
  EXPECT_THAT(many.notes, Contains("numa0: 3 ranks share 2 cores; start fewer ranks, or they slow "
                                   "each other down"));
}

TEST(Affinity, MoreRanksThanGpusStartOver) {
  const Graph graph = machine("node{2 numa, 2 gpu}");
  const Affinity found = affinity_of(graph, {.ranks = 4});
  EXPECT_EQ(found.ranks[0].gpu, found.ranks[2].gpu);
  EXPECT_THAT(lines(graph, found), ElementsAre("0-3", "8-11", "4-7", "12-15"));
  EXPECT_THAT(found.notes, ElementsAre("4 ranks share 2 GPUs"));
}

TEST(Affinity, HardwareThreadsStayTogether) {
  Graph graph = machine("node{1 numa, 3 core, 2 gpu}");
  set(graph, "core0", "cpus", "0,3");
  set(graph, "core1", "cpus", "1,4");
  set(graph, "core2", "cpus", "2,5");
  EXPECT_THAT(lines(graph, affinity_of(graph)), ElementsAre("0,3", "1-2,4-5"));
  EXPECT_THAT(lines(graph, affinity_of(graph, {.allowed = {0, 1, 2, 3}})),
              ElementsAre("0,3", "1-2"));
}

TEST(Affinity, OnlyAllowedCpusAreUsed) {
  const Graph graph = machine("node{2 numa, 8 core, 4 gpu}");
  const Affinity some = affinity_of(graph, {.allowed = {0, 1, 4, 5, 6}});
  EXPECT_THAT(lines(graph, some), ElementsAre("0", "1", "4", "5-6"));
  EXPECT_THAT(some.notes, ElementsAre("3 of 8 CPUs may not be used by this process"));
  const Affinity one = affinity_of(graph, {.allowed = {4, 5, 6, 7}});
  EXPECT_THAT(lines(graph, one), ElementsAre("4", "5", "6", "7"));
  EXPECT_THAT(one.notes, Contains("ranks 0-1 (gpu0, gpu1): numa0 has no CPU that may be used; its "
                                  "CPUs are of numa1"));
  const Affinity none = find_affinity(graph, {.allowed = {99}});
  EXPECT_THAT(none.ranks[0].cpus, IsEmpty());
  EXPECT_THAT(none.notes, Contains("the source tells of no CPU that may be used"));
}

// As NCCL's files are: the CPUs of NUMA nodes in Linux's numbering, and no cores.
TEST(Affinity, CoresAreGuessedWhereTheSourceTellsNone) {
  Graph graph = machine("node{2 numa, 4 gpu}");
  for (Node& one : graph.nodes) {
    std::erase_if(one.attributes, [&](const Attribute& attribute) {
      return one.kind != NodeKind::numa && attribute.name == "cpus";
    });
  }
  set(graph, "numa0", "cpus", "0-3,8-11");
  set(graph, "numa1", "cpus", "4-6,7,12-14");
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(lines(graph, found), ElementsAre("0-1,8-9", "2-3,10-11", "4-6", "7,12-14"));
  EXPECT_THAT(found.notes, ElementsAre("the source tells no cores of numa0: CPUs such as 0,8 are "
                                       "taken for threads of one"));
}

TEST(Affinity, AGpuWithoutANumaNodeHasTheCpusThatAreLeft) {
  Graph graph = machine("node{2 numa, 8 core, 1 gpu}");
  NodeId gpu = find(graph, "gpu0");
  for (Link& link : graph.links) {
    if (link.b == gpu) link.a = 0;
  }
  test::node(graph, "gpu0").parent = 0;
  const Affinity found = affinity_of(graph);
  EXPECT_THAT(found.notes,
              ElementsAre("the NUMA node of rank 0 (gpu0) is not known: its CPUs are of numa0"));
}

// No other choice has loads that are more even: brute force over all of them.
TEST(Affinity, DealsEvenly) {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 300; ++round) {
    const int bins = 1 + static_cast<int>(random() % 4);
    std::vector<std::vector<int>> choices(1 + random() % 6);
    std::size_t ways = 1;
    for (std::vector<int>& choice : choices) {
      const std::uint64_t mask = 1 + random() % ((1U << bins) - 1);
      for (int bin = 0; bin < bins; ++bin) {
        if ((mask >> bin & 1) != 0) choice.push_back(bin);
      }
      ways *= choice.size();
    }
    const auto squares = [&](const std::vector<int>& bin_of) {
      std::vector<int> loads(static_cast<std::size_t>(bins));
      for (const int bin : bin_of) ++loads[static_cast<std::size_t>(bin)];
      int sum = 0;
      for (const int load : loads) sum += load * load;
      return sum;
    };
    int best = 1000;
    for (std::size_t way = 0; way < ways; ++way) {
      std::vector<int> bin_of;
      std::size_t rest = way;
      for (const std::vector<int>& choice : choices) {
        bin_of.push_back(choice[rest % choice.size()]);
        rest /= choice.size();
      }
      best = std::min(best, squares(bin_of));
    }
    const std::vector<int> dealt = deal_evenly(choices, bins);
    for (std::size_t item = 0; item < dealt.size(); ++item) {
      EXPECT_THAT(choices[item], Contains(dealt[item]));
    }
    EXPECT_EQ(squares(dealt), best);
  }
}

TEST(Affinity, HoldsOnEveryMachineAndInEveryOrder) {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 200; ++round) {
    const auto below = [&](std::uint64_t limit) { return static_cast<int>(random() % limit); };
    const int packages = 1 + below(2);
    const int numas = packages * (1 + below(3));
    const int gpus = below(10);
    const int nics = below(10);
    std::string text =
        fmt::format("node{{{} package, {} numa, {} core", packages, numas, 8 + below(40));
    text += below(2) == 0 ? "" : fmt::format(", {} switch", numas * (1 + below(3)));
    text += gpus == 0 ? "" : fmt::format(", {} gpu", gpus);
    text += nics == 0 ? "" : fmt::format(", {} nic 200G", nics);
    Graph graph = machine(text + "}");
    for (const NodeId port : of_kind(graph, NodeKind::port)) {
      if (below(4) == 0)
        set(graph, graph.nodes[static_cast<std::size_t>(port)].name, "state", "down");
    }
    SCOPED_TRACE(text);
    const AffinityOptions options{.ranks = below(3) == 0 ? 1 + below(12) : 0};
    const Affinity found = affinity_of(graph, options);
    const Graph same = test::reordered(graph, random);
    EXPECT_EQ(affinity_text(same, find_affinity(same, options)), affinity_text(graph, found));
  }
}

void reverse_children(pugi::xml_node node) {
  std::vector<pugi::xml_node> children(node.begin(), node.end());
  for (const pugi::xml_node child : children) {
    reverse_children(child);
    node.prepend_move(child);
  }
}

// A file whose siblings come in the reverse order is the same machine: bus ids number the devices.
TEST(Affinity, IsThatOfTheFileReadBackwards) {
  for (const char* const text :
       {"node{2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}", "node{2 numa, 8 gpu, 3 nic 100G}",
        "node{4 numa, 4 switch, 8 gpu a100 mesh, 4 nic 200G 2 port}"}) {
    const std::string forwards = nccl_xml(machine(text));
    pugi::xml_document document;
    ASSERT_TRUE(document.load_string(forwards.c_str()));
    reverse_children(document.document_element());
    std::ostringstream backwards;
    document.save(backwards);
    ASSERT_NE(backwards.str(), forwards);
    const auto one = load_text("forwards", forwards);
    const auto two = load_text("backwards", backwards.str());
    ASSERT_TRUE(one.ok() && two.ok()) << two.status().message();
    EXPECT_NE(one->nodes, two->nodes);
    EXPECT_EQ(affinity_text(*two, find_affinity(*two)), affinity_text(*one, find_affinity(*one)));
    EXPECT_EQ(channels_text(*two, find_channels(*two)), channels_text(*one, find_channels(*one)));
  }
}

TEST(Affinity, TextIsATableAndNotes) {
  Graph graph = machine("node{2 package, 2 numa, 4 core, 2 gpu, 3 nic 400G}");
  set(graph, "rdma2", "state", "down");
  EXPECT_EQ(
      affinity_text(graph, affinity_of(graph)),
      "RANK  GPU   NUMA   CPUs  NICs                 THEN\n"
      "0     gpu0  numa0  0-1   rdma0 PHB 50.0 GB/s  rdma1 PHB 50.0 GB/s\n"
      "1     gpu1  numa1  2-3   rdma1 SYS 6.0 GB/s   rdma0 SYS 6.0 GB/s\n"
      "left out: rdma2: its state is down\n"
      "note: rank 1 (gpu1) reaches rdma1 across sockets (numa1 to numa0), at 6.0 GB/s at most "
      "where the port has 50.0 GB/s; rdma2 is nearer but down: bring it up\n");
}

}  // namespace
}  // namespace tutti::topology
