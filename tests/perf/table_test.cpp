// The table to the character, as nccl-tests prints it.
#include "common/table.h"

#include <gtest/gtest.h>

namespace tutti::perf {
namespace {

Measurement measurement() {
  Measurement result;
  result.time_us = 480.52;
  result.algbw = 279.32;
  result.busbw = 488.80;
  result.wrong = 0;
  return result;
}

Row row() {
  Row result;
  result.bytes = 134217728;
  result.count = 33554432;
  result.type = "float";
  result.op = "sum";
  result.out_of_place = result.in_place = measurement();
  result.algorithm = "ring";
  result.timestamp = "2026-01-31 23:59:59";
  return result;
}

TEST(Table, PreambleIsThatOfNcclTests) {
  Options options;
  options.sweep = {8, 134217728, 1 << 20, 2};
  EXPECT_EQ(
      preamble("all_reduce_perf", options,
               {{0, 12345, 0, "node01", "AMD EPYC"}, {1, 12346, 1, "node01", "AMD EPYC"}}),
      "# tutti-tests version " TUTTI_VERSION
      "\n"
      "# Collective test starting: all_reduce_perf\n"
      "# nThread 1 nGpus 1 minBytes 8 maxBytes 134217728 step: 2(factor) warmup iters: 1 iters: 20 "
      "agg iters: 1 validation: 1 graph: 0 unalign: 0\n"
      "#\n"
      "# Using devices\n"
      "#  Rank  0 Group  0 Pid  12345 on     node01 device  0 [cpu] AMD EPYC\n"
      "#  Rank  1 Group  0 Pid  12346 on     node01 device  1 [cpu] AMD EPYC\n"
      "#\n"
      "#                                                              out-of-place                 "
      "      in-place          \n"
      "#       size         count      type   redop    root     time   algbw   busbw  #wrong     "
      "time   algbw   busbw  #wrong \n"
      "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             "
      "(us)  (GB/s)  (GB/s)         \n");
}

TEST(Table, RowIsThatOfNcclTests) {
  EXPECT_EQ(
      format_row(row(), Options()),
      "   134217728      33554432     float     sum      -1   480.52  279.32  488.80       0   "
      "480.52  279.32  488.80       0\n");
}

TEST(Table, UncheckedRowSaysSo) {
  Row unchecked = row();
  unchecked.out_of_place.wrong.reset();
  unchecked.in_place.wrong.reset();
  EXPECT_EQ(
      format_row(unchecked, Options()),
      "   134217728      33554432     float     sum      -1   480.52  279.32  488.80     N/A   "
      "480.52  279.32  488.80     N/A\n");
}

TEST(Table, TimestampAndAlgorithmComeLast) {
  Options options;
  options.report_timestamps = true;
  options.algorithm_column = true;
  const std::string plain = format_row(row(), Options());
  EXPECT_EQ(format_row(row(), options),
            plain.substr(0, plain.size() - 1) + "  2026-01-31 23:59:59                ring\n");
}

// The last header line that names columns, and a row, end each column at the same place.
TEST(Table, PerIterationColumnsAlign) {
  Options options;
  options.per_iteration = true;
  Row timed = row();
  timed.out_of_place.iterations_us = Statistics{1, 2, 1.5, 1.5, 1.9, 2, 0.3};
  timed.in_place.iterations_us = timed.out_of_place.iterations_us;
  EXPECT_EQ(format_row(timed, options),
            "   134217728      33554432     float     sum      -1   480.52  279.32  488.80       0"
            "     1.00     2.00     1.50     2.00    20.00   480.52  279.32  488.80       0"
            "     1.00     2.00     1.50     2.00    20.00\n");
  const std::string text = preamble("all_reduce_perf", options, {});
  EXPECT_NE(
      text.find("#       size         count      type   redop    root     time   algbw   "
                "busbw  #wrong    i_min    i_max    i_p50    i_p99    i_cv%     time   algbw  "
                " busbw  #wrong    i_min    i_max    i_p50    i_p99    i_cv% \n"),
      std::string::npos)
      << text;
}

TEST(Table, BlockingAndCpuTimeAreNamed) {
  Options options;
  options.report_cputime = true;
  options.blocking = Blocking::barrier;
  const std::string text = preamble("all_reduce_perf", options, {});
  EXPECT_NE(text.find("  cputime   algbw"), std::string::npos);
  EXPECT_NE(text.find("# Blocking Enabled: barrier after each iteration \n"), std::string::npos);
}

TEST(Table, MemoryThatIsNotTheProgramsIsNamed) {
  Options options;
  EXPECT_EQ(preamble("all_reduce_perf", options, {}).find("# Memory"), std::string::npos);
  options.memory = MemoryKind::allocated;
  EXPECT_NE(preamble("all_reduce_perf", options, {}).find("\n# Memory: allocated\n"),
            std::string::npos);
}

TEST(Table, ConclusionIsThatOfNcclTests) {
  Options options;
  EXPECT_EQ(conclusion("all_reduce_perf", options, {0, 41.2, {}}),
            "# Out of bounds values : 0 OK\n"
            "# Avg bus bandwidth    : 41.2 \n"
            "#\n"
            "# Collective test concluded: all_reduce_perf\n");
  options.min_busbw = 50;
  EXPECT_EQ(conclusion("all_reduce_perf", options, {3, 41.2, {}}),
            "# Out of bounds values : 3 FAILED\n"
            "# Avg bus bandwidth    : 41.2 FAILED\n"
            "#\n"
            "# Collective test concluded: all_reduce_perf\n");
  EXPECT_EQ(conclusion("barrier_perf", Options(),
                       {0, 0, Statistics{.min = 0.2, .max = 1234.5, .p50 = 0.254, .p99 = 9}}),
            "# Out of bounds values : 0 OK\n"
            "# Latency (us)         : min 0.20, median 0.25, p99 9.00, max 1234.50\n"
            "# Avg bus bandwidth    : 0 \n"
            "#\n"
            "# Collective test concluded: barrier_perf\n");
  options.min_busbw = 41.2;
  EXPECT_TRUE(fast_enough(options, {0, 41.2, {}}));
}

TEST(Table, NumbersKeepTheirWidth) {
  EXPECT_EQ(format_number(0, 7), "   0.00");
  EXPECT_EQ(format_number(9.876, 7), "   9.88");
  EXPECT_EQ(format_number(4805.2, 7), "4805.20");
  EXPECT_EQ(format_number(48052.34, 7), "48052.3");
  EXPECT_EQ(format_number(480523.4, 7), " 480523");
  EXPECT_EQ(format_number(4805234.0, 7), "4805234");
  EXPECT_EQ(format_number(48052340.0, 7), "4.8e+07");
  EXPECT_EQ(format_number(1234.5, 6), "1234.5");
  EXPECT_EQ(format_number(1234567.0, 6), " 1e+06");
}

TEST(Statistics, AreMembersOfTheSeries) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  const Statistics all = summarize(values);
  EXPECT_EQ(all.min, 1);
  EXPECT_EQ(all.max, 100);
  EXPECT_EQ(all.p50, 50);
  EXPECT_EQ(all.p95, 95);
  EXPECT_EQ(all.p99, 99);
  EXPECT_EQ(all.mean, 50.5);
  EXPECT_NEAR(all.deviation, 28.866, 1e-3);
  EXPECT_NEAR(all.variation_percent(), 57.16, 1e-2);
}

TEST(Statistics, OfFewValues) {
  const double one[] = {3.0};
  EXPECT_EQ(summarize(one).p99, 3);
  EXPECT_EQ(summarize(one).p50, 3);
  EXPECT_EQ(summarize({}).max, 0);
  EXPECT_EQ(summarize({}).variation_percent(), 0);
}

}  // namespace
}  // namespace tutti::perf
