// The programs of scripts/compare without a launcher: commands, data, and the meter over a library
// of one rank.
#include "compare/collective_meter.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "compare/call.h"
#include "compare/verify.h"

namespace tutti::compare {
namespace {

using ::testing::HasSubstr;

constexpr Kind kKinds[] = {Kind::all_reduce,     Kind::broadcast, Kind::reduce,
                           Kind::all_gather,     Kind::alltoall,  Kind::alltoallv,
                           Kind::reduce_scatter, Kind::gather,    Kind::scatter,
                           Kind::sendrecv,       Kind::hypercube, Kind::barrier};

TEST(CompareCommand, IsParsed) {
  const Result<Command> command = parse_command("time reduce 4096 100 10 in_place allocated 2");
  ASSERT_TRUE(command.ok()) << command.status().message();
  EXPECT_FALSE(command->check);
  EXPECT_EQ(command->what, "reduce");
  EXPECT_EQ(command->bytes, 4096);
  EXPECT_EQ(command->iterations, 100);
  EXPECT_EQ(command->warmup, 10);
  EXPECT_TRUE(command->in_place);
  EXPECT_FALSE(command->fresh);
  EXPECT_TRUE(command->allocated);
  EXPECT_EQ(command->threads, 2);
  const Result<Command> fresh = parse_command("check reduce 4096 100 10 fresh private 1");
  ASSERT_TRUE(fresh.ok()) << fresh.status().message();
  EXPECT_TRUE(fresh->fresh);
  EXPECT_FALSE(fresh->in_place);
}

TEST(CompareCommand, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> wrong[] = {
      {"time reduce 4096", "'time reduce 4096' is not: time|check WHAT BYTES ITERATIONS"},
      {"tell reduce 8 1 0 in_place private 1", "starts with neither time nor check"},
      {"time reduce 8 1 0 nowhere private 1", "is neither out_of_place nor in_place nor fresh"},
      {"time reduce 8 1 0 in_place public 1", "names neither private nor allocated memory"},
      {"time reduce 8 0 0 in_place private 1", "has a number that is too small"},
  };
  for (const auto& [line, message] : wrong) {
    const Result<Command> command = parse_command(line);
    ASSERT_FALSE(command.ok()) << line;
    EXPECT_THAT(std::string(command.status().message()), HasSubstr(message));
  }
}

TEST(ComparePipes, SaysWhereTheyAreMissing) {
  const Result<Pipes> pipes = Pipes::open("/nowhere", 3);
  ASSERT_FALSE(pipes.ok());
  EXPECT_THAT(std::string(pipes.status().message()),
              HasSubstr("rank 3 cannot open its pipes in '/nowhere': No such file"));
}

TEST(CompareCall, NamesAreTheirInverse) {
  for (const Kind kind : kKinds) EXPECT_EQ(parse_kind(name(kind)), kind);
  EXPECT_EQ(parse_kind("all"), std::nullopt);
}

TEST(CompareArguments, SayHowTheyAreGiven) {
  char program[] = "p";
  char folder[] = "/f";
  char number[] = "64";
  char rank[] = "1";
  char* good[] = {program, folder, number, rank, number};
  const Result<Arguments> arguments = Arguments::parse(5, good);
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->folder, "/f");
  EXPECT_EQ(arguments->largest_bytes, 64U);
  EXPECT_EQ(arguments->rank, 1);
  EXPECT_EQ(arguments->ranks, 64);
  char* bad[] = {program, folder, folder};
  EXPECT_THAT(std::string(Arguments::parse(3, bad).status().message()),
              HasSubstr("usage: PROGRAM FOLDER LARGEST_BYTES [RANK RANKS [INTERFACE]]"));
  EXPECT_FALSE(Arguments::parse(4, good).ok());
}

// A library of one rank: what any collective does there is a copy.
class Copies : public Library {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string version() const override { return "Copies 1.0"; }
  bool supports(Kind kind, bool in_place) const override {
    return kind != Kind::gather || !in_place;
  }
  Status barrier() override {
    ++barriers;
    return {};
  }
  Status run(const Call& call) override {
    ++calls;
    if (call.count > 0) seen.push_back(call.send[0]);
    const std::int64_t count = block_count(call.kind, call.count, 0, 0);
    std::memmove(call.recv, call.send, static_cast<std::size_t>(count) * sizeof(float));
    if (breaks) call.recv[count / 2] += 1;
    return {};
  }

  bool uses_host_memory() const override { return on_host; }

  std::vector<float> seen;  // the first element of each call's input
  bool on_host = true;
  int calls = 0;
  int barriers = 0;
  bool breaks = false;
};

Command command_of(Kind kind, bool in_place) {
  return {.what = std::string(name(kind)),
          .bytes = 64,
          .iterations = 5,
          .warmup = 2,
          .in_place = in_place};
}

TEST(CompareMeter, FindsEveryResultRight) {
  Copies library;
  CollectiveMeter meter(library, 64);
  for (const Kind kind : kKinds) {
    for (const bool in_place : {false, true}) {
      const Command command = command_of(kind, in_place);
      if (!meter.lacks(command).empty()) continue;
      const Status status = meter.check(command);
      EXPECT_TRUE(status.ok()) << status.message();
    }
  }
}

TEST(CompareMeter, FindsEveryResultWrong) {
  Copies library;
  library.breaks = true;
  CollectiveMeter meter(library, 64);
  for (const Kind kind : kKinds) {
    // Blocks of a rank for itself are empty in an uneven exchange of one rank.
    if (kind == Kind::barrier || kind == Kind::alltoallv) continue;
    const Status status = meter.check(command_of(kind, false));
    ASSERT_FALSE(status.ok()) << name(kind);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(std::string(name(kind)) + " of 16 elements on rank 0 of 1: element 8 of "
                                                    "block 0 is "));
  }
}

TEST(CompareMeter, WarmsUpAndTimesBetweenBarriers) {
  Copies library;
  CollectiveMeter meter(library, 64);
  const Result<double> us = meter.time(command_of(Kind::reduce, false));
  ASSERT_TRUE(us.ok());
  EXPECT_GE(*us, 0);
  EXPECT_EQ(library.calls, 7);
  EXPECT_EQ(library.barriers, 2);
}

TEST(CompareMeter, WritesInputThatIsFreshBeforeEveryCall) {
  Copies library;
  CollectiveMeter meter(library, 64);
  Command command = command_of(Kind::broadcast, false);
  const auto inputs = [&] {
    library.seen.clear();
    EXPECT_TRUE(meter.time(command).ok());
    return library.seen;
  };
  EXPECT_THAT(inputs(), testing::Each(0));
  command.fresh = true;
  EXPECT_THAT(inputs(), testing::ElementsAre(1, 1.5, 1.75, 1.875, 1.9375, 1.96875, 1.984375));
}

TEST(CompareMeter, SaysWhatALibraryLacks) {
  Copies library;
  CollectiveMeter meter(library, 64);
  EXPECT_EQ(meter.lacks(command_of(Kind::gather, true)), "Copies 1.0 has no gather in place");
  EXPECT_EQ(meter.lacks(command_of(Kind::sendrecv, true)), "Copies 1.0 has no sendrecv in place");
  EXPECT_EQ(meter.lacks({.what = "all"}), "no collective is named 'all'");
  EXPECT_EQ(meter.lacks(command_of(Kind::gather, false)), "");
  library.on_host = false;
  Command command = command_of(Kind::gather, false);
  EXPECT_EQ(meter.lacks(command), "");
  command.fresh = true;
  EXPECT_EQ(meter.lacks(command), "Copies 1.0 sends from other memory than is written here");
}

TEST(CompareMeter, RefusesWhatItCannotMeasure) {
  Copies library;
  CollectiveMeter meter(library, 32);
  EXPECT_THAT(std::string(meter.time(command_of(Kind::reduce, false)).status().message()),
              HasSubstr("a message of 64 bytes is more than the 32 that the program was started"));
  Command command = command_of(Kind::reduce, false);
  command.bytes = 16;
  command.allocated = true;
  EXPECT_EQ(meter.time(command).status().message(), "Copies 1.0 allocates no memory");
}

// What each rank would receive from the others by the definition of the collective.
TEST(CompareVerify, KnowsAnAllToAllOfUnevenBlocks) {
  constexpr int kRanks = 4;
  constexpr std::int64_t kCount = 8;
  std::vector<std::vector<float>> inputs(kRanks, std::vector<float>(kRanks * kCount));
  std::vector<float> output(kRanks * kCount);
  for (int rank = 0; rank < kRanks; ++rank) {
    auto& input = inputs[static_cast<std::size_t>(rank)];
    fill({Kind::alltoallv, input.data(), output.data(), kCount, false}, rank, kRanks);
  }
  for (int rank = 0; rank < kRanks; ++rank) {
    float* next = output.data();
    for (int from = 0; from < kRanks; ++from) {
      const float* block = inputs[static_cast<std::size_t>(from)].data();
      for (int to = 0; to < rank; ++to) block += block_count(Kind::alltoallv, kCount, from, to);
      next = std::copy_n(block, block_count(Kind::alltoallv, kCount, from, rank), next);
    }
    const Call call{Kind::alltoallv, inputs[0].data(), output.data(), kCount, false};
    const Status status = verify(call, output.data(), rank, kRanks);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_FALSE(verify(call, output.data(), (rank + 1) % kRanks, kRanks).ok());
  }
}

}  // namespace
}  // namespace tutti::compare
