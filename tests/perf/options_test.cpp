// The command line of the performance tests: sizes, lists, every kind of bad input.
#include "common/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/names.h"

namespace tutti::perf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

ParsedOptions parse(std::vector<std::string> arguments) {
  return parse_options("all_reduce_perf", arguments);
}

Options good(std::vector<std::string> arguments) {
  const ParsedOptions parsed = parse(std::move(arguments));
  EXPECT_TRUE(parsed.options.has_value()) << parsed.text;
  return parsed.options.value_or(Options());
}

// The message of a command line that must be refused.
std::string refusal(std::vector<std::string> arguments) {
  const ParsedOptions parsed = parse(std::move(arguments));
  EXPECT_FALSE(parsed.options.has_value());
  EXPECT_EQ(parsed.code, ExitCode::usage);
  EXPECT_THAT(parsed.text, HasSubstr("Try all_reduce_perf --help."));
  return parsed.text;
}

TEST(Sizes, AreReadAsNcclTestsReadsThem) {
  EXPECT_EQ(*parse_bytes("8"), 8);
  EXPECT_EQ(*parse_bytes("8B"), 8);
  EXPECT_EQ(*parse_bytes("4K"), 4096);
  EXPECT_EQ(*parse_bytes("4k"), 4096);
  EXPECT_EQ(*parse_bytes("4KB"), 4096);
  EXPECT_EQ(*parse_bytes("4KiB"), 4096);
  EXPECT_EQ(*parse_bytes("1.5M"), 3 << 19);
  EXPECT_EQ(*parse_bytes("8G"), std::int64_t{8} << 30);
  EXPECT_EQ(*parse_bytes("1T"), std::int64_t{1} << 40);
  EXPECT_EQ(*parse_bytes("0"), 0);
}

TEST(Sizes, ThatMakeNoSenseAreNamed) {
  for (const char* text :
       {"", "K", "-8", "8X", "8 K", "1e", "nan", "inf", "0x10", "4KK", "4KiBs"}) {
    const auto bytes = parse_bytes(text);
    ASSERT_FALSE(bytes.ok()) << text;
    EXPECT_THAT(std::string(bytes.status().message()),
                HasSubstr(std::string("\"") + text + "\" is not a size"));
  }
  EXPECT_EQ(parse_bytes("2000T").status().message(), "\"2000T\" is larger than 1024T");
}

TEST(Sweep, MultipliesOrAdds) {
  EXPECT_THAT(element_counts({8, 64, 0, 2}, 4), ElementsAre(2, 4, 8, 16));
  EXPECT_THAT(element_counts({8, 65, 0, 2}, 8), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(element_counts({8, 32, 8, 1}, 4), ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(element_counts({8, 8, 0, 1}, 4), ElementsAre(2));
}

TEST(Sweep, LeavesOutRepeatedCountsAndGoesOnFromZero) {
  EXPECT_THAT(element_counts({0, 16, 0, 2}, 4), ElementsAre(0, 1, 2, 4));
  EXPECT_THAT(element_counts({4, 10, 1, 1}, 4), ElementsAre(1, 2));
  EXPECT_THAT(element_counts({1, 3, 1, 1}, 8), ElementsAre(0));
}

TEST(Options, DefaultsAreThoseOfNcclTests) {
  const Options options = good({});
  EXPECT_EQ(options.sweep.min_bytes, 32 << 20);
  EXPECT_EQ(options.sweep.max_bytes, 32 << 20);
  EXPECT_EQ(options.sweep.step_bytes, 1 << 20);
  EXPECT_EQ(options.iterations, 20);
  EXPECT_EQ(options.warmup_iterations, 1);
  EXPECT_EQ(options.checks, 1);
  EXPECT_EQ(options.average, Average::mean);
  EXPECT_THAT(options.types, ElementsAre(DataType::float32));
  EXPECT_THAT(options.ops, ElementsAre(ReduceOp::sum));
  EXPECT_FALSE(options.min_busbw.has_value());
}

TEST(Options, AProgramsOwnDefaultsCanBeOverridden) {
  Options defaults;
  defaults.per_iteration = true;
  defaults.iterations = 1000;
  const auto parsed = [&](std::vector<std::string> arguments) {
    return *parse_options("barrier_perf", arguments, defaults).options;
  };
  EXPECT_TRUE(parsed({}).per_iteration);
  EXPECT_EQ(parsed({}).iterations, 1000);
  EXPECT_FALSE(parsed({"-I", "0"}).per_iteration);
  EXPECT_EQ(parsed({"-n", "7"}).iterations, 7);
}

TEST(Options, ShortFormsWork) {
  const Options options = good({"-b8",         "-e",
                                "64M",         "-f",
                                "2",           "-n",
                                "5",           "-w",
                                "3",           "-m",
                                "2",           "-N",
                                "4",           "-c",
                                "0",           "-a",
                                "3",           "-z",
                                "3",           "-T",
                                "2.5",         "-S",
                                "1",           "-u",
                                "1",           "-I",
                                "1",           "-K",
                                "2",           "-r",
                                "3",           "-t",
                                "2",           "-g",
                                "1",           "-J",
                                "x.json",      "--algorithm-column",
                                "--min-busbw", "1.5"});
  EXPECT_EQ(options.sweep.min_bytes, 8);
  EXPECT_EQ(options.sweep.max_bytes, 64 << 20);
  EXPECT_EQ(options.sweep.factor, 2);
  EXPECT_EQ(options.iterations, 5);
  EXPECT_EQ(options.warmup_iterations, 3);
  EXPECT_EQ(options.aggregated_iterations, 2);
  EXPECT_EQ(options.cycles, 4);
  EXPECT_EQ(options.checks, 0);
  EXPECT_EQ(options.average, Average::max);
  EXPECT_EQ(options.blocking, Blocking::barrier_not_timed);
  EXPECT_EQ(options.timeout_s, 2.5);
  EXPECT_TRUE(options.report_timestamps);
  EXPECT_EQ(options.unalign, 1);
  EXPECT_TRUE(options.per_iteration);
  EXPECT_EQ(options.skipped_iterations, 2);
  EXPECT_EQ(options.root, 3);
  EXPECT_EQ(options.threads, 2);
  EXPECT_EQ(options.output_file, "x.json");
  EXPECT_TRUE(options.algorithm_column);
  EXPECT_EQ(options.min_busbw, 1.5);
}

TEST(Options, TypesAndOperatorsComeAsNamesListsOrAll) {
  EXPECT_THAT(good({"-d", "half,float64"}).types,
              ElementsAre(DataType::float16, DataType::float64));
  EXPECT_THAT(good({"-o", "prod,avg"}).ops, ElementsAre(ReduceOp::product, ReduceOp::average));
  EXPECT_THAT(good({"-d", "all"}).types, SizeIs(kDataTypeCount));
  EXPECT_THAT(good({"-o", "all"}).ops, SizeIs(kReduceOpCount + 1));
  EXPECT_THAT(good({"-o", "mulsum,max"}).ops, ElementsAre(Operator::mulsum(), ReduceOp::max));
  EXPECT_EQ(short_name(Operator::mulsum()), "mulsum");
  EXPECT_EQ(good({"-r", "all"}).root, kAllRoots);
}

TEST(Options, ShortNamesAreReadBack) {
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    const auto read = parse_data_types(short_name(type));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_THAT(*read, ElementsAre(type));
  }
  for (int i = 0; i < kReduceOpCount; ++i) {
    const auto op = static_cast<ReduceOp>(i);
    const auto read = parse_operators(short_name(op));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_THAT(*read, ElementsAre(op));
  }
}

TEST(Options, TheLastOfOneKindCounts) {
  EXPECT_EQ(good({"-n", "5", "--iters", "7"}).iterations, 7);
  EXPECT_THAT(good({"-o", "max", "-o", "min"}).ops, ElementsAre(ReduceOp::min));
}

TEST(Options, HelpAndVersionSucceed) {
  const ParsedOptions help = parse({"--help"});
  EXPECT_EQ(help.code, ExitCode::ok);
  EXPECT_THAT(help.text, HasSubstr("--minbytes"));
  EXPECT_THAT(help.text, HasSubstr("Exit codes"));
  EXPECT_EQ(parse({"--version"}).text, version_text() + "\n");
}

TEST(Options, UnknownOnesAreRefused) {
  EXPECT_THAT(refusal({"--bogus"}), HasSubstr("--bogus"));
  EXPECT_THAT(refusal({"-Q", "1"}), HasSubstr("-Q"));
  EXPECT_THAT(refusal({"stray"}), HasSubstr("stray"));
}

TEST(Options, BadValuesAreNamed) {
  EXPECT_THAT(refusal({"-b", "8X"}), HasSubstr("\"8X\" is not a size"));
  EXPECT_THAT(refusal({"-e", "lots"}), HasSubstr("\"lots\" is not a size"));
  EXPECT_THAT(refusal({"-b"}), HasSubstr("--minbytes"));
  EXPECT_THAT(refusal({"-n", "0"}), HasSubstr("--iters"));
  EXPECT_THAT(refusal({"-n", "many"}), HasSubstr("--iters"));
  EXPECT_THAT(refusal({"-w", "-1"}), HasSubstr("--warmup_iters"));
  EXPECT_THAT(refusal({"-f", "0"}), HasSubstr("--stepfactor"));
  EXPECT_THAT(refusal({"-a", "4"}), HasSubstr("--average"));
  EXPECT_THAT(refusal({"-z", "9"}), HasSubstr("--blocking"));
  EXPECT_THAT(refusal({"-t", "0"}), HasSubstr("--nthreads"));
  EXPECT_THAT(refusal({"-T", "-3"}), HasSubstr("--timeout"));
  EXPECT_THAT(refusal({"-r", "-2"}), HasSubstr("\"-2\" is not a rank"));
  EXPECT_THAT(refusal({"-r", "x"}), HasSubstr("--root"));
  EXPECT_THAT(refusal({"-d", "float13"}), HasSubstr("float13"));
  EXPECT_THAT(refusal({"-d", "float,"}), HasSubstr("--datatype"));
  EXPECT_THAT(refusal({"-o", "mulsums"}),
              AllOf(HasSubstr("'mulsums'"), HasSubstr("bit_xor, mulsum")));
  EXPECT_THAT(refusal({"--min-busbw", "-1"}), HasSubstr("--min-busbw"));
}

TEST(Options, OfMemoryAreNamesOrNcclTestsNumbers) {
  EXPECT_EQ(good({}).memory, MemoryKind::own);
  EXPECT_EQ(good({"--memory", "private"}).memory, MemoryKind::own);
  EXPECT_EQ(good({"--memory", "registered"}).memory, MemoryKind::registered);
  EXPECT_EQ(good({"--memory", "allocated"}).memory, MemoryKind::allocated);
  EXPECT_EQ(good({"-R", "0"}).memory, MemoryKind::own);
  EXPECT_EQ(good({"-R", "1"}).memory, MemoryKind::registered);
  EXPECT_EQ(good({"--local_register", "2"}).memory, MemoryKind::allocated);
  EXPECT_THAT(refusal({"--memory", "shared"}),
              HasSubstr("'shared' is not private, registered or allocated"));
  EXPECT_THAT(refusal({"-R", "3"}), HasSubstr("--local_register"));
}

TEST(Options, OfGpusAreAcceptedAtTheirNeutralValueOnly) {
  good({"-g", "1", "-G", "0", "-y", "0", "-p", "0"});
  EXPECT_THAT(refusal({"-g", "8"}), HasSubstr("must be 1, not \"8\""));
  EXPECT_THAT(refusal({"-g", "8"}), HasSubstr("a rank here is a CPU process or thread"));
  EXPECT_THAT(refusal({"-G", "4"}), HasSubstr("there are no CUDA graphs here"));
}

TEST(Options, ContradictionsAreExplained) {
  EXPECT_THAT(refusal({"-b", "64M"}), HasSubstr("give both -b and -e"));
  EXPECT_THAT(refusal({"-b", "8", "-e", "16", "-i", "0"}), HasSubstr("never reaches --maxbytes"));
  EXPECT_THAT(refusal({"-I", "1", "-n", "5", "-K", "5"}), HasSubstr("leaves nothing of --iters 5"));
  EXPECT_THAT(refusal({"-C", "1", "-m", "2"}), HasSubstr("use one of the two"));
  EXPECT_THAT(refusal({"-N", "0", "--json"}), HasSubstr("would never be written"));
}

TEST(ExitCodes, FollowTheError) {
  const auto of = [](Code code) { return exit_code(Status::error(code, "why")); };
  EXPECT_EQ(exit_code(Status()), ExitCode::ok);
  EXPECT_EQ(of(Code::invalid_argument), ExitCode::usage);
  EXPECT_EQ(of(Code::mismatch), ExitCode::usage);
  EXPECT_EQ(of(Code::invalid_environment), ExitCode::environment);
  EXPECT_EQ(of(Code::unavailable), ExitCode::environment);
  EXPECT_EQ(of(Code::timed_out), ExitCode::timed_out);
  EXPECT_EQ(of(Code::peer_failed), ExitCode::ranks_lost);
  EXPECT_EQ(of(Code::aborted), ExitCode::ranks_lost);
  EXPECT_EQ(of(Code::internal), ExitCode::internal);
}

}  // namespace
}  // namespace tutti::perf
