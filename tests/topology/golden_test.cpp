// Every fixture in every printed form against tests/topology/golden. A change of a loader or a
// printer is a diff that can be read; TUTTI_TEST_UPDATE_GOLDEN=1 writes the files anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "topology/affinity.h"
#include "topology/hwloc_xml.h"
#include "topology/load.h"
#include "topology/nccl_xml.h"
#include "topology/path.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

const std::filesystem::path kFolder = TUTTI_TOPOLOGY_TESTS;

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

std::string explain_all(const Graph& graph) {
  std::string text;
  const NodeId gpu = find(graph, "gpu0");
  for (const NodeId to : of_kind(graph, NodeKind::nic)) {
    text += explain(graph, gpu, to);
  }
  for (const NodeId to : of_kind(graph, NodeKind::gpu)) {
    text += explain(graph, gpu, to);
  }
  return text;
}

struct Form {
  const char* name;
  std::string (*print)(const Graph&);
};
const Form kForms[] = {
    {"tree", [](const Graph& graph) { return tree(graph, true); }},
    {"ascii", [](const Graph& graph) { return tree(graph, false); }},
    {"matrix", matrix},
    {"json", json},
    {"dot", dot},
    {"svg", svg},
    {"nccl.xml", nccl_xml},
    {"hwloc.xml", hwloc_xml},
    {"explain", explain_all},
    {"affinity", [](const Graph& graph) { return affinity_text(graph, find_affinity(graph)); }},
    {"affinity.json",
     [](const Graph& graph) { return affinity_json(graph, find_affinity(graph)); }}};

TEST(Golden, FixturesPrintAsTheyDid) {
  const bool update = std::getenv("TUTTI_TEST_UPDATE_GOLDEN") != nullptr;
  for (const char* name : {"nccl_nvswitch.xml", "rccl_xgmi.xml", "nccl_partial.xml",
                           "hwloc2_switch.xml", "hwloc1_numa.xml", "synthetic.txt", "cube.txt"}) {
    const std::filesystem::path fixture = kFolder / "fixtures" / name;
    const auto graph = load_text(name, read_file(fixture));
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    for (const Form& form : kForms) {
      const std::filesystem::path path =
          kFolder / "golden" / (fixture.stem().string() + "." + form.name);
      const std::string now = form.print(*graph);
      if (update) {
        std::ofstream(path) << now;
      }
      EXPECT_EQ(now, read_file(path))
          << path << "; if the change is meant, run with TUTTI_TEST_UPDATE_GOLDEN=1";
    }
  }
}

}  // namespace
}  // namespace tutti::topology
