// overlap_perf's arithmetic, table, report and command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "overlap/compute.h"
#include "overlap/options.h"
#include "overlap/table.h"

namespace tutti::perf {
namespace {

using testing::HasSubstr;

OverlapRow row(double compute_us, double communication_us, double both_us) {
  return {1 << 20, 1 << 18, compute_us, communication_us, both_us, 0};
}

TEST(Overlap, IsTheShareOfTheShorterPartThatIsSaved) {
  EXPECT_DOUBLE_EQ(row(100, 100, 100).overlap(), 1);
  EXPECT_DOUBLE_EQ(row(300, 100, 300).overlap(), 1);
  EXPECT_DOUBLE_EQ(row(100, 100, 200).overlap(), 0);
  EXPECT_DOUBLE_EQ(row(100, 50, 125).overlap(), 0.5);
  EXPECT_DOUBLE_EQ(row(100, 100, 250).overlap(), -0.5);
  EXPECT_DOUBLE_EQ(row(100, 0, 100).overlap(), 0);
}

TEST(Overlap, PrintsATable) {
  EXPECT_EQ(overlap_preamble(4, OverlapOptions()) + format_overlap_row(row(1234.567, 1250, 1500)),
            "# tutti-tests version " TUTTI_VERSION
            "\n"
            "# overlap_perf: asynchronous all_reduce of float sums, and computation; ranks: 4, "
            "warmup iters: 5, iters: 20\n"
            "#\n"
            "#       size         count     compute        comm        both  overlap  #wrong\n"
            "#        (B)    (elements)        (us)        (us)        (us)\n"
            "     1048576        262144     1234.57     1250.00     1500.00     0.80       0\n");
}

TEST(Overlap, ReportsJson) {
  const auto report = overlap_json(2, OverlapOptions(), {row(100, 50, 125)});
  EXPECT_EQ(report["program"], "overlap_perf");
  EXPECT_EQ(report["ranks"], 2);
  EXPECT_EQ(report["iterations"], 20);
  EXPECT_EQ(report["results"].dump(),
            R"([{"size":1048576,"count":262144,"compute_us":100.0,"communication_us":50.0,)"
            R"("both_us":125.0,"overlap":0.5,"nwrong":0}])");
}

TEST(Compute, TakesTime) {
  Compute compute;
  const double pass_us = compute.pass_us();
  EXPECT_GT(pass_us, 0);
  EXPECT_LT(pass_us, 1000);
}

TEST(OverlapOptions, AreReadAndBadOnesAreNamed) {
  const auto options = parse_overlap_options({"-b", "4K", "-e", "1M", "-f", "8", "-n", "3", "-w",
                                              "0", "-t", "2", "--json"})
                           .options;
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(parse_overlap_options({"-b", "8", "-b", "16"}).options->sweep.min_bytes, 16)
      << "scripts append";
  EXPECT_EQ(options->sweep.min_bytes, 4096);
  EXPECT_EQ(options->sweep.max_bytes, 1 << 20);
  EXPECT_EQ(options->sweep.factor, 8);
  EXPECT_EQ(options->iterations, 3);
  EXPECT_EQ(options->warmup_iterations, 0);
  EXPECT_EQ(options->threads, 2);
  EXPECT_TRUE(options->json);

  const auto refusal = [](std::vector<std::string> arguments) {
    const auto parsed = parse_overlap_options(arguments);
    EXPECT_FALSE(parsed.options.has_value());
    EXPECT_EQ(parsed.code, ExitCode::usage);
    EXPECT_THAT(parsed.text, HasSubstr("Try overlap_perf --help."));
    return parsed.text;
  };
  EXPECT_THAT(refusal({"-b", "32M"}), HasSubstr("--minbytes 33554432 is more than --maxbytes "
                                                "16777216; give both -b and -e"));
  EXPECT_THAT(refusal({"-b", "some"}), HasSubstr("\"some\" is not a size"));
  EXPECT_THAT(refusal({"-n", "0"}), HasSubstr("--iters"));
  EXPECT_THAT(refusal({"-f", "1"}), HasSubstr("--stepfactor"));
  EXPECT_THAT(refusal({"--bogus"}), HasSubstr("--bogus"));
}

TEST(OverlapOptions, HelpAndVersionSucceed) {
  EXPECT_THAT(parse_overlap_options({"--help"}).text, HasSubstr("overlap is the time saved"));
  EXPECT_EQ(parse_overlap_options({"--version"}).text, version_text() + "\n");
}

}  // namespace
}  // namespace tutti::perf
