// Every topology file of the collection loads to what its manifest counts, or fails as it should.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "topology/affinity_check.h"
#include "topology/channels.h"
#include "topology/load.h"
#include "topology/machines.h"
#include "topology/nccl_xml.h"
#include "topology/path.h"
#include "topology/print.h"
#include "topology/search_time.h"
#include "topology/xml_file.h"

namespace tutti::topology {
namespace {

using nlohmann::json;
const std::filesystem::path kFiles = TUTTI_TOPOLOGY_FILES;

std::vector<json> manifest() {
  std::ifstream stream(kFiles / "MANIFEST.json");
  return stream ? json::parse(stream).get<std::vector<json>>() : std::vector<json>();
}

struct File : testing::TestWithParam<json> {
  std::string name = GetParam()["file"];
  std::string path = kFiles / name;
  std::string format = GetParam()["format"];
};

std::size_t count(const Graph& graph, NodeKind kind) {
  return of_kind(graph, kind).size();
}

std::size_t elements(const XmlFile& file, const char* path) {
  return file.root().select_nodes(path).size();
}

// NUMA nodes that the file names: one of the collection names two of them twice.
std::size_t numa_nodes(const XmlFile& file) {
  std::set<std::string> names;
  for (const auto& cpu : file.root().select_nodes("//cpu")) {
    names.insert(cpu.node().attribute("numaid").value());
  }
  return names.size();
}

void expect_nccl_counts(const Graph& graph, const XmlFile& file, const json& counts) {
  EXPECT_EQ(elements(file, "//cpu"), counts["cpu"]);
  EXPECT_EQ(count(graph, NodeKind::numa), numa_nodes(file));
  EXPECT_EQ(count(graph, NodeKind::port), counts["net"]);
  // A partial file has no <gpu> and no <nic>, or not for all.
  EXPECT_GE(count(graph, NodeKind::gpu), counts["gpu"]);
  EXPECT_GE(count(graph, NodeKind::nic), counts["nic"]);
  std::size_t pci = 0;
  for (const Node& node : graph.nodes) {
    pci += !node.bus_id.empty() && node.kind != NodeKind::nvswitch;
  }
  EXPECT_EQ(pci, counts["pci"]);
  int xgmi = 0;
  int nvlinks = 0;
  for (const Link& link : graph.links) {
    xgmi += link.kind == LinkKind::xgmi;
    nvlinks += link.kind == LinkKind::nvlink ? link.count : 0;
  }
  EXPECT_EQ(2 * xgmi, counts["xgmi_tags"]);
  int unplaced = 0;
  for (const Node& node : graph.nodes) {
    const std::string text(value_of(node, "unplaced_links"));
    unplaced += text.empty() ? 0 : std::stoi(text);
  }
  EXPECT_EQ(nvlinks + unplaced, counts["nvlink_count"]);
}

void expect_hwloc_counts(const Graph& graph, const json& counts) {
  EXPECT_EQ(count(graph, NodeKind::package), counts["packages"]);
  EXPECT_EQ(count(graph, NodeKind::numa), counts["numa"]);
  EXPECT_EQ(count(graph, NodeKind::core), counts["cores"]);
  std::map<std::string, std::set<std::string>> gpus;  // by model: a card may be several GPUs
  std::set<std::string> rdma;
  for (const Node& node : graph.nodes) {
    if (node.kind == NodeKind::gpu) {
      gpus[fmt::format("{}:{}", value_of(node, "vendor").substr(2),
                       value_of(node, "device").substr(2))]
          .insert(node.bus_id);
    } else if (node.kind == NodeKind::port && find_attribute(node, "rdma")) {
      rdma.emplace(value_of(node, "rdma"));
    }
  }
  json found = json::object();
  for (const auto& [model, cards] : gpus) {
    found[model] = cards.size();
  }
  EXPECT_EQ(found, counts["gpu_ids"]);
  EXPECT_EQ(json(rdma), json(counts["openfabrics"].get<std::set<std::string>>()));
  const auto& accelerators = counts["osdev_accel"];
  if (accelerators.contains("RSMI")) {
    EXPECT_EQ(count(graph, NodeKind::gpu), accelerators["RSMI"]);
  }
}

void expect_round_trip(const Graph& graph) {
  const std::string text = nccl_xml(graph);
  const auto again = load_text("written", text);
  ASSERT_TRUE(again.ok()) << again.status().message() << '\n' << text;
  EXPECT_EQ(again->nodes, graph.nodes) << text;
  EXPECT_EQ(again->links, graph.links) << text;
}

TEST_P(File, HoldsWhatTheManifestCounts) {
  const auto graph = load_file(path);
  if (format == "graphs") {
    ASSERT_FALSE(graph.ok());
    EXPECT_THAT(std::string(graph.status().message()),
                testing::HasSubstr("ncv4-graph.xml:1: this is an NCCL graph file"));
    return;
  }
  if (GetParam()["xml_version"] == "3.0") {
    ASSERT_FALSE(graph.ok());
    EXPECT_THAT(std::string(graph.status().message()),
                testing::ContainsRegex(":[0-9]+: hwloc XML version 3.0"));
    return;
  }
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  ASSERT_TRUE(check(*graph).ok());
  if (format == "hwloc") {
    expect_hwloc_counts(*graph, GetParam());
  }
  if (format == "nccl-topo") {
    const auto text = read_text(path);
    const auto file = XmlFile::parse(name, *text);
    expect_nccl_counts(*graph, *file, GetParam());
    expect_round_trip(*graph);
  }
}

bool has_nvlink(const Graph& graph) {
  return std::any_of(graph.links.begin(), graph.links.end(),
                     [](const Link& link) { return link.kind == LinkKind::nvlink; });
}

// The same channels in whichever order the file lists devices, and how much of the bound rings
// reach. NVLink machines: nearly all. Of the others, those that AMD's links join in pairs, which
// the search cannot always fill, have the least.
TEST_P(File, HasRingsNearTheBound) {
  const auto graph = load_file(path);
  if (!graph.ok()) return;  // the test above says why
  const MachineChannels found = find_channels(*graph);
  if (found.members.size() < 2) return;
  ASSERT_FALSE(found.rings.channels.empty());
  EXPECT_LE(found.rings.quality(), 1 + 1e-6);
  EXPECT_GE(found.rings.quality(), has_nvlink(*graph) ? 0.95 : 0.79);
  std::mt19937_64 random(test::seed());
  const Graph same = test::reordered(*graph, random);
  EXPECT_EQ(channels_text(same, find_channels(same)), channels_text(*graph, found));
}

TEST_P(File, HasItsChannelsSoon) {
  const auto graph = load_file(path);
  if (!graph.ok()) return;
  const double ms = test::search_ms(*graph);
  fmt::print("{}: {:.1f} ms\n", name, ms);
  if (has_nvlink(*graph)) {
    EXPECT_LT(ms, test::kSearchMsMax);
  }
}

// Its ranks have CPUs and near NICs, and the order of siblings in the file makes no difference.
TEST_P(File, HasAPlaceForEveryRank) {
  const auto graph = load_file(path);
  if (!graph.ok()) return;
  std::mt19937_64 random(test::seed());
  const Graph same = test::reordered(*graph, random);
  for (const int ranks : {0, 1, 4, 7, 64}) {
    SCOPED_TRACE(ranks);
    const Affinity found = find_affinity(*graph, {.ranks = ranks});
    test::expect_cpus(*graph, found);
    test::expect_nics(*graph, found);
    EXPECT_EQ(affinity_text(same, find_affinity(same, {.ranks = ranks})),
              affinity_text(*graph, found));
  }
}

std::string test_name(const testing::TestParamInfo<json>& info) {
  std::string name = info.param["file"];
  for (char& c : name) {
    c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  }
  return name;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(File);
INSTANTIATE_TEST_SUITE_P(Real, File, testing::ValuesIn(manifest()), test_name);

TEST(RealFiles, AreThere) {
  if (manifest().empty()) {
    GTEST_SKIP() << "configure with -DTUTTI_TOPOLOGY_FILES=FOLDER to test files of real machines";
  }
}

}  // namespace
}  // namespace tutti::topology
