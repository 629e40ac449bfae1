// The JSON report and the file that it is written to.
#include "common/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "common/atomic_file.h"

namespace tutti::perf {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Report report() {
  Report result;
  result.program = "all_reduce_perf";
  result.arguments = {"-b", "8 \"quoted\""};
  result.options.sweep = {8, 16, 1, 2};
  result.devices = {{0, 10, 0, "node01", "AMD EPYC"}, {1, 11, 1, "node01", "AMD EPYC"}};
  Row row;
  row.bytes = 8;
  row.count = 2;
  row.type = "float";
  row.op = "sum";
  row.algorithm = "ring";
  row.out_of_place.time_us = 1.5;
  row.out_of_place.wrong = 0;
  row.out_of_place.rank_times_us = {1, 2};
  result.rows = {row};
  return result;
}

TEST(Report, HoldsWhatWasMeasured) {
  const json read = json::parse(to_json(report()).dump());
  EXPECT_EQ(read["version"], kReportVersion);
  EXPECT_EQ(read["tutti_version"], TUTTI_VERSION);
  EXPECT_EQ(read["args"][1], "8 \"quoted\"");
  EXPECT_EQ(read["config"]["ranks"], 2);
  EXPECT_EQ(read["config"]["step_factor"], 2);
  EXPECT_EQ(read["config"]["memory"], "private");
  EXPECT_EQ(read["config"]["devices"][1]["pid"], 11);
  const json& row = read["results"][0];
  EXPECT_EQ(row["size"], 8);
  EXPECT_EQ(row["root"], -1);
  EXPECT_EQ(row["algorithm"], "ring");
  EXPECT_EQ(row["out_of_place"]["time"], 1.5);
  EXPECT_EQ(row["out_of_place"]["nwrong"], 0);
  EXPECT_EQ(row["out_of_place"]["rank_times_us"], json({1.0, 2.0}));
  EXPECT_TRUE(row["in_place"]["nwrong"].is_null());
  EXPECT_FALSE(row.contains("in_place_per_iter"));
  EXPECT_EQ(read["out_of_bounds"]["okay"], true);
  EXPECT_EQ(read["average_bus_bandwidth"]["okay"], true);
  EXPECT_TRUE(read["average_bus_bandwidth"]["minimum"].is_null());
  EXPECT_TRUE(read["latency"].is_null());
  EXPECT_EQ(read["exit_code"], 0);
  EXPECT_TRUE(read["errors"].empty());
}

TEST(Report, HoldsIterationsAndFailures) {
  Report failed = report();
  failed.options.per_iteration = true;
  failed.options.report_cputime = true;
  failed.options.sweep.factor = 1;
  failed.options.min_busbw = 2;
  failed.totals = {7, 1, Statistics{.min = 1, .max = 9, .p50 = 2, .p99 = 8}};
  failed.exit_code = ExitCode::wrong_data;
  failed.errors = {"timed_out: rank 1"};
  failed.rows[0].out_of_place.iteration_times_us = {1, 3};
  failed.rows[0].out_of_place.iterations_us =
      summarize(failed.rows[0].out_of_place.iteration_times_us);
  failed.rows[0].in_place = failed.rows[0].out_of_place;
  const json read = json::parse(to_json(failed).dump());
  EXPECT_EQ(read["config"]["step_bytes"], 1);
  EXPECT_EQ(read["results"][0]["out_of_place"]["cpu_time"], 1.5);
  EXPECT_EQ(read["results"][0]["in_place_per_iter"]["p50_us"], 1);
  EXPECT_EQ(read["results"][0]["in_place_per_iter"]["times_us"], json({1.0, 3.0}));
  EXPECT_EQ(read["out_of_bounds"]["okay"], false);
  EXPECT_EQ(read["average_bus_bandwidth"]["okay"], false);
  EXPECT_EQ(read["latency"],
            json({{"min_us", 1.0}, {"p50_us", 2.0}, {"p99_us", 8.0}, {"max_us", 9.0}}));
  EXPECT_EQ(read["exit_code"], 5);
  EXPECT_EQ(read["errors"][0], "timed_out: rank 1");
}

TEST(Report, DoesNotHoldTheEnvironment) {
  ::setenv("PERF_TEST_SECRET", "hunter2", 1);
  const std::string text = to_json(report()).dump();
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  EXPECT_EQ(text.find("\"env\""), std::string::npos);
}

class File : public testing::Test {
 protected:
  File() {
    std::string folder = testing::TempDir() + "tutti_report_test_XXXXXX";
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  ~File() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ / "report.json"; }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  static std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::filesystem::path folder_;
};

TEST_F(File, AppearsWholeWhenItIsCommitted) {
  std::ofstream(path()) << "old";
  auto file = AtomicFile::create(path());
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(content(path()), "old");
  ASSERT_TRUE(file->commit("new text").ok());
  EXPECT_EQ(content(path()), "new text");
  EXPECT_EQ(files(), 1u);
}

TEST_F(File, LeavesNothingWhenItIsNot) {
  { ASSERT_TRUE(AtomicFile::create(path()).ok()); }
  EXPECT_EQ(files(), 0u);
}

TEST_F(File, SaysWhyItCannotBeWritten) {
  const auto missing = AtomicFile::create("/nowhere/at/all.json");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.status().code(), Code::unavailable);
  EXPECT_EQ(
      missing.status().message(),
      "cannot write \"/nowhere/at/all.json\": No such file or directory (errno 2); give a path "
      "in a writable folder");
  const auto folder = AtomicFile::create(folder_);
  ASSERT_FALSE(folder.ok());
  EXPECT_THAT(std::string(folder.status().message()), HasSubstr("Is a directory"));
}

TEST_F(File, SaysWhyItCannotBeMoved) {
  auto file = AtomicFile::create(path());
  ASSERT_TRUE(file.ok());
  std::filesystem::remove_all(folder_);
  const Status moved = file->commit("text");
  EXPECT_EQ(moved.code(), Code::unavailable);
  EXPECT_THAT(std::string(moved.message()), HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace tutti::perf
