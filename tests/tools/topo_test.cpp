// `tutti topo` as people use it: the built program.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/run_command.h"

namespace tutti {
namespace {

using test::CommandResult;
using testing::HasSubstr;

constexpr const char* kText = "'node{2 numa, 4 switch, 8 gpu nvswitch, 8 nic 400G}'";

CommandResult topo(const std::string& arguments) {
  return test::run_command(fmt::format("{} topo {} 2>&1", TUTTI_COMMAND, arguments));
}

TEST(Topo, ShowsThisMachineWhateverIsInIt) {
  const CommandResult result = topo("");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, testing::StartsWith("machine"));
  EXPECT_THAT(result.output, HasSubstr("core"));
}

TEST(Topo, PrintsEveryFormat) {
  for (const auto& [format, expected] :
       {std::pair("tree", "└─ "), std::pair("ascii", "`- "), std::pair("matrix", "NV18"),
        std::pair("json", "\"summary\""), std::pair("dot", "graph topology {"),
        std::pair("svg", "<svg "), std::pair("nccl-xml", "<system version=\"1\">"),
        std::pair("hwloc-xml", "<topology version=\"2.0\">")}) {
    const CommandResult result = topo(fmt::format("--from {} --format {}", kText, format));
    EXPECT_EQ(result.exit_code, 0) << format;
    EXPECT_THAT(result.output, HasSubstr(expected)) << format;
  }
}

TEST(Topo, JsonHasTheSummary) {
  const auto document =
      nlohmann::json::parse(topo(fmt::format("--from {} --format json", kText)).output);
  EXPECT_EQ(document["version"], 1);
  EXPECT_EQ(document["summary"]["gpus"], 8);
  EXPECT_EQ(document["summary"]["nics"], 8);
  EXPECT_EQ(document["summary"]["nvswitches"], 4);
  EXPECT_EQ(document["summary"]["numa_nodes"], 2);
  EXPECT_EQ(document["summary"]["packages"], 1);
  EXPECT_EQ(document["summary"]["cores"], 16);
}

TEST(Topo, ReadsWhatItWrote) {
  const CommandResult result =
      topo(fmt::format("--from {} --format nccl-xml > topo_test.xml; {} topo --from topo_test.xml "
                       "--format matrix; rm topo_test.xml",
                       kText, TUTTI_COMMAND));
  EXPECT_THAT(result.output, HasSubstr("GPU0  X     NV18"));
}

TEST(Topo, ExplainsAPath) {
  const CommandResult result = topo(fmt::format("--from {} --explain gpu0 rdma4", kText));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("gpu0 to rdma4: SYS (across NUMA nodes)"));
  EXPECT_THAT(result.output, HasSubstr("[synthetic]"));
}

TEST(Topo, ShowsChannelsAsTextAndJson) {
  EXPECT_THAT(topo("--from 'node{3 gpu a100 mesh}' --channels").output,
              testing::StartsWith("rings: 2, 300.0 GB/s of at most 300.0 GB/s (100.0 %)"));
  const auto document =
      nlohmann::json::parse(topo("--from 'node{3 gpu a100 mesh}' --channels --format json").output);
  EXPECT_EQ(document["version"], 1);
  EXPECT_EQ(document["members"], nlohmann::json({"gpu0", "gpu1", "gpu2"}));
  EXPECT_EQ(document["rings"]["bound_bytes_per_s"], 300e9);
  EXPECT_EQ(document["rings"]["channels"].size(), 2U);
  EXPECT_EQ(document["rings"]["channels"][0]["members"].size(), 3U);
  EXPECT_EQ(document["trees"]["channels"][0]["parents"][0], -1);
  EXPECT_TRUE(document["rings_through_nics"]["channels"].empty());
}

TEST(Topo, ShowsAffinityAsTextAndJson) {
  const std::string source = "--from 'node{2 numa, 4 gpu, 4 nic 200G}' --affinity";
  EXPECT_THAT(topo(source).output,
              testing::AllOf(testing::StartsWith("RANK  GPU   NUMA   CPUs   NICs"),
                             HasSubstr("\n3     gpu3  numa1  12-15  rdma3 PHB 25.0 GB/s")));
  const auto document = nlohmann::json::parse(topo(source + " --ranks 2 --format json").output);
  EXPECT_EQ(document["version"], 1);
  EXPECT_EQ(document["ranks"].size(), 2U);
  EXPECT_EQ(document["ranks"][1]["gpu"], "gpu1");
  EXPECT_EQ(document["ranks"][1]["nics"][0]["port"], "rdma1");
  EXPECT_EQ(document["notes"].size(), 2U) << "two ports are unused";
}

TEST(Topo, AffinityOfThisMachineKeepsToTheCpusThatItMayUse) {
  const CommandResult one = test::run_command(
      fmt::format("taskset -c $(taskset -pc $$ | grep -o '[0-9]*' | tail -n 1) {} topo --affinity "
                  "--ranks 2 --format json",
                  TUTTI_COMMAND));
  const auto document = nlohmann::json::parse(one.output);
  EXPECT_EQ(document["ranks"][0]["cpus"], document["ranks"][1]["cpus"]);
  EXPECT_THAT(document["ranks"][0]["cpus"].get<std::string>(), testing::MatchesRegex("[0-9]+"));
  EXPECT_EQ(document["cpus_overlap"], true);
}

TEST(Topo, SaysWhatIsWrong) {
  const CommandResult device = topo(fmt::format("--from {} --explain gpu0 gpu99", kText));
  EXPECT_EQ(device.exit_code, 1);
  EXPECT_THAT(device.output, HasSubstr("tutti topo: there is no device gpu99 inside the machine"));
  const CommandResult file = topo("--from /no/such/file");
  EXPECT_EQ(file.exit_code, 1);
  EXPECT_THAT(file.output, HasSubstr("tutti topo: /no/such/file: cannot be opened"));
  const CommandResult text = topo("--from 'node{8 gpus}'");
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.output, HasSubstr("column 8: \"gpus\" is no part"));
  EXPECT_EQ(topo("--format pdf").exit_code, 2);
  const CommandResult picture = topo("--channels --format svg");
  EXPECT_EQ(picture.exit_code, 2);
  EXPECT_THAT(picture.output, HasSubstr("--channels: is shown as text or with --format json, not"));
  const CommandResult empty = topo("--from ''");
  EXPECT_EQ(empty.exit_code, 2) << "a variable without a value is not this machine";
  EXPECT_THAT(empty.output, HasSubstr("--from: is empty; leave --from out for this machine"));
  EXPECT_EQ(topo("--explain a b --format svg").exit_code, 2) << "a path has no picture";
  EXPECT_EQ(topo("--explain a b --channels").exit_code, 2) << "one question at a time";
  EXPECT_EQ(topo("--affinity --channels").exit_code, 2) << "one question at a time";
  EXPECT_EQ(topo("--ranks 2").exit_code, 2) << "of nothing";
  EXPECT_EQ(topo("--affinity --ranks 0").exit_code, 2);
  EXPECT_THAT(topo("--affinity --format dot").output,
              HasSubstr("--affinity: is shown as text or with --format json, not dot"));
  EXPECT_EQ(topo("--sysroot / --from x").exit_code, 2) << "one source only";
}

}  // namespace
}  // namespace tutti
