// Blocks that are lent or staged, whichever took less so far.
#include "runtime/lending.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "support/values.h"

namespace tutti::test {
namespace {

using runtime::BlockKind;
using runtime::Costs;
using runtime::index_of;
using runtime::kWays;
using runtime::least;
using runtime::Lending;
using runtime::size_class;
using runtime::TakenTable;
using runtime::Traffic;
using runtime::Trial;
using runtime::Way;
using runtime::WayCosts;

// Calls that take what a machine would.
class Machine {
 public:
  float lent = 1;
  float staged = 1;
  float streamed = 20;

  // How many of them were lent. `noise` lengthens what was measured.
  template <typename Noise>
  int run(int calls, Noise&& noise) {
    std::array<int, kWays> called{};
    for (int i = 0; i < calls; ++i) {
      if (trial_.due(0)) trial_.weigh(measured_);
      const std::size_t way = index_of(trial_.next(0));
      measured_[way] = least(measured_[way], WayCosts{lent, staged, streamed}[way] * noise());
      ++called[way];
    }
    last_ = called;
    return called[index_of(Way::lent)];
  }
  int run(int calls) {
    return run(calls, [] { return 1.0F; });
  }
  // Of the last run().
  int calls(Way way) const { return last_[index_of(way)]; }

 private:
  Trial trial_;
  WayCosts measured_{};
  std::array<int, kWays> last_{};
};

TEST(Trial, FindsTheFastestWaySoonAndLosesLittleByLookingAgain) {
  constexpr int kSoon = 300;
  constexpr int kCalls = 100'000;
  for (const Way fastest : {Way::lent, Way::staged, Way::streamed}) {
    Machine machine;
    machine.lent = fastest == Way::lent ? 1 : 8;
    machine.staged = fastest == Way::staged ? 1 : 8;
    machine.streamed = fastest == Way::streamed ? 1 : 8;
    machine.run(kSoon);
    machine.run(kCalls);
    for (const Way other : {Way::lent, Way::staged, Way::streamed}) {
      if (other == fastest) continue;
      EXPECT_GT(machine.calls(other), 0) << "nothing is known of what was never tried again";
      EXPECT_LT(machine.calls(other), kCalls / 100);
    }
  }
}

// Ways that are far slower are not tried as often as those of which less is known.
TEST(Trial, CostsLittleFromTheBeginning) {
  constexpr int kSoon = 300;
  constexpr int kCalls = 8'000;
  constexpr float kSlower = 8;
  constexpr float kMost = 0.10F;  // of the time: two ways at 3% each, and some
  Machine machine;
  machine.staged = machine.streamed = kSlower;
  machine.run(kSoon);
  machine.run(kCalls);
  const int tried = machine.calls(Way::staged) + machine.calls(Way::streamed);
  EXPECT_GT(tried, 0);
  EXPECT_LT(static_cast<float>(tried) * (kSlower - 1), kMost * kCalls);
}

TEST(Trial, NeverLendsWhatCannotBeLent) {
  Trial trial(Way::staged);
  int streamed = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (trial.due(0)) trial.weigh({0.1F, 2, 1});
    const Way way = trial.next(0);
    ASSERT_NE(way, Way::lent);
    streamed += way == Way::streamed ? 1 : 0;
  }
  EXPECT_GT(streamed, 9'000);
}

TEST(Trial, FollowsWhatBecomesSlowerWithinAFewDozenCalls) {
  Machine machine;
  machine.staged = 2;
  machine.run(100'000);
  machine.lent = 6;  // as the kernel copies what was just written
  EXPECT_LT(machine.run(1000), 150);
}

TEST(Trial, FindsOutWhatHasBecomeFaster) {
  Machine machine;
  machine.staged = 2;
  machine.lent = 6;
  machine.run(100'000);
  machine.lent = 1;
  machine.run(10'000);
  EXPECT_GT(machine.run(1000), 950);
}

TEST(Trial, DoesNotMindInterruptions) {
  std::mt19937_64 random(test_seed());
  const auto noise = [&] {
    const auto draw = random() % 16;
    return draw == 0 ? 100.0F : 1.0F + static_cast<float>(draw) / 16;
  };
  Machine machine;
  machine.staged = 3;
  machine.run(100, noise);
  EXPECT_GT(machine.run(10'000, noise), 9'000);
}

// The first calls of a way find the caches as the other one has left them.
TEST(Trial, GoesOnUntilTheCachesAreWarm) {
  constexpr int kCold = 5;
  Machine machine;
  machine.lent = 1.5F;
  int staged_in_a_row = 0;
  const auto run = [&](int calls) {
    int lent = 0;
    for (int i = 0; i < calls; ++i) {
      machine.staged = staged_in_a_row < kCold ? 6 : 1;
      const bool is_lent = machine.run(1) == 1;
      staged_in_a_row = is_lent ? 0 : staged_in_a_row + 1;
      lent += is_lent ? 1 : 0;
    }
    return lent;
  };
  run(500);
  EXPECT_LT(run(10'000), 1'000);
}

// As the ranks of an all_reduce: each measures for itself, and all weigh what the slowest says.
TEST(Trial, GivesAllRanksTheSameWay) {
  constexpr std::size_t kRanks = 3;
  constexpr int kPhase = 10'000;
  std::mt19937_64 random(test_seed());
  struct Rank {
    Trial trial;
    WayCosts costs{};
  };
  std::array<Rank, kRanks> ranks;
  // Another way is the fastest in each phase.
  for (const WayCosts& takes : {WayCosts{1, 4, 4}, WayCosts{9, 2, 4}, WayCosts{9, 8, 3}}) {
    std::array<int, kWays> calls{};
    for (int i = 0; i < kPhase; ++i) {
      WayCosts slowest{};
      for (std::size_t way = 0; way < kWays; ++way) {
        for (const Rank& rank : ranks) slowest[way] = std::max(slowest[way], rank.costs[way]);
      }
      const Way way = ranks[0].trial.next(0);
      for (Rank& rank : ranks) {
        if (&rank != ranks.data()) {
          ASSERT_EQ(rank.trial.next(0), way) << i;
        }
        rank.trial.weigh(slowest);
        const auto noise = 1 + static_cast<float>(random() % 8) / 32;
        float& cost = rank.costs[index_of(way)];
        cost = least(cost, noise * takes[index_of(way)]);
      }
      ++calls[index_of(way)];
    }
    const auto fastest = std::min_element(takes.begin(), takes.end()) - takes.begin();
    EXPECT_GT(calls[static_cast<std::size_t>(fastest)], kPhase / 2) << "way " << fastest;
  }
}

TEST(Trial, TakesNoNoteOfClocksThatDiffer) {
  EXPECT_EQ(least(0, -5), 0);
  EXPECT_EQ(least(3, -5), 3);
  EXPECT_EQ(least(3, 0), 3);
  EXPECT_EQ(least(3, std::nanf("")), 3);
  EXPECT_EQ(least(3, 2), 2);
  EXPECT_EQ(least(3, 9), 3.375F);
}

TEST(Trial, LooksSeldomWhereNothingCanBeKnown) {
  Trial trial;
  int staged = 0;
  for (int i = 0; i < 100'000; ++i) staged += trial.next(0) == Way::staged ? 1 : 0;
  EXPECT_GT(staged, 0);
  EXPECT_LT(staged, 1'000);
}

TEST(Trial, StaysWhereNothingIsKnown) {
  Trial trial;
  for (int i = 0; i < 100; ++i) {
    trial.weigh({0, 1, 1});
    trial.weigh({1, 0, 0});
  }
  EXPECT_EQ(trial.next(0), Way::lent);
}

TEST(Lending, CountsWhatEveryoneDoes) {
  const Costs costs{.send = {0, 1, 2}, .keep = 0.5, .take = {3, 2, 1}};
  const Traffic swap{.senders = 4, .receivers = 4, .takes = 3, .both_ways = true};
  // Each copies its own, and takes three.
  EXPECT_EQ(weigh(swap, costs, false), (WayCosts{9, 7, 5}));
  EXPECT_EQ(weigh(swap, costs, true), (WayCosts{36, 28, 20}));
  // All work at the same time.
  const Traffic to_all{.receivers = 3, .keeps = true};
  EXPECT_EQ(weigh(to_all, costs, false), (WayCosts{3, 2, 2.5}));
  EXPECT_EQ(weigh(to_all, costs, true), (WayCosts{9, 7, 5}));
  const Traffic to_one{.senders = 3, .takes = 3};
  EXPECT_EQ(weigh(to_one, costs, false), (WayCosts{9, 6, 3}));
  EXPECT_EQ(weigh(to_one, costs, true), (WayCosts{9, 9, 9}));
  // Who sends copies its own meanwhile.
  const Costs slow_output{.send = {0, 1, 0}, .keep = 5, .take = {3, 2, 0}};
  EXPECT_EQ(weigh(to_all, slow_output, false), (WayCosts{5, 6, 0}));
  // Not all is known.
  EXPECT_EQ(weigh(to_all, {.send = {0, 1, 0}, .take = {3, 0, 1}}, false), (WayCosts{3, 0, 0}));
}

TEST(Lending, HasAClassForEachDoubling) {
  EXPECT_EQ(size_class(8 << 10), 0U);
  EXPECT_EQ(size_class((16 << 10) - 1), 0U);
  EXPECT_EQ(size_class(16 << 10), 1U);
  EXPECT_EQ(size_class(64 << 20), 13U);
  EXPECT_EQ(size_class(std::int64_t{1} << 40), 13U);
}

// Three ranks of one process; rank 0 sends.
struct Three {
  std::vector<std::unique_ptr<TakenTable>> memory;
  std::vector<Lending> ranks;

  Three() {
    std::vector<TakenTable*> tables;
    for (int rank = 0; rank < 3; ++rank) {
      memory.push_back(std::make_unique<TakenTable>());
      tables.push_back(memory.back().get());
    }
    for (int rank = 0; rank < 3; ++rank) ranks.emplace_back(rank, tables, /*crowded=*/false);
  }
  // How many of the calls were lent, when readers take so much for what is lent.
  int send(const Traffic& traffic, int receiver, int calls, std::int64_t lent_1,
           std::int64_t lent_2) {
    int lent = 0;
    for (int i = 0; i < calls; ++i) {
      const Way way = ranks[0].next(traffic, receiver);
      const std::int64_t copy = way == Way::streamed ? 50 : 2;
      if (way != Way::lent) ranks[0].staged(traffic, way, copy * traffic.bytes);
      const auto took = [&](std::int64_t lent_costs) {
        return (way == Way::lent ? lent_costs : copy) * traffic.bytes;
      };
      ranks[1].took(traffic, way, took(lent_1));
      ranks[2].took(traffic, way, took(lent_2));
      lent += way == Way::lent ? 1 : 0;
    }
    return lent;
  }
};

TEST(Lending, LooksAtTheSlowestReader) {
  const Traffic traffic{.kind = BlockKind::broadcast, .bytes = 64 << 10, .receivers = 2};
  Three fast;
  EXPECT_GT(fast.send(traffic, -1, 1000, 1, 1), 900);
  Three slow;
  EXPECT_LT(slow.send(traffic, -1, 1000, 1, 9), 100);
}

TEST(Lending, LooksAtTheOnlyReader) {
  const Traffic traffic{.kind = BlockKind::pair, .bytes = 64 << 10};
  Three three;
  EXPECT_GT(three.send(traffic, 1, 1000, 1, 9), 900);
}

// Of an uneven scatter, say: those tell of blocks of their own size.
TEST(Lending, DoesNotMindReadersThatTakeOtherSizes) {
  const Traffic longest{.kind = BlockKind::scatter, .bytes = 64 << 10, .receivers = 2};
  const Traffic shorter{.kind = BlockKind::scatter, .bytes = 8 << 10, .receivers = 2};
  Three three;
  int lent = 0;
  for (int i = 0; i < 1000; ++i) {
    const Way way = three.ranks[0].next(longest, -1);
    const bool is_lent = way == Way::lent;
    if (!is_lent) three.ranks[0].staged(longest, way, 2 * longest.bytes);
    three.ranks[1].took(longest, way, (is_lent ? 9 : 2) * longest.bytes);
    three.ranks[2].took(shorter, way, (is_lent ? 1 : 9) * shorter.bytes);
    lent += is_lent ? 1 : 0;
  }
  EXPECT_LT(lent, 100);
}

TEST(Lending, LendsNoReductionsAndNothingWhereProcessesAreClosed) {
  Three three;
  const Traffic reduction{.kind = BlockKind::reduce, .bytes = 64 << 10};
  EXPECT_EQ(three.send(reduction, 1, 1000, 1, 1), 0);
  for (Lending& rank : three.ranks) rank.never_lend();
  const Traffic pair{.kind = BlockKind::pair, .bytes = 64 << 10};
  EXPECT_EQ(three.send(pair, 1, 1000, 1, 1), 0);
}

// Lent, each kind of memory takes what its own way of reading it takes.
TEST(Lending, KnowsWhatWasAllocatedFromWhatWasNot) {
  Three three;
  Traffic block{.kind = BlockKind::pair, .bytes = 64 << 10};
  EXPECT_LT(three.send(block, 1, 1000, 9, 9), 100);
  block.allocated = true;
  EXPECT_GT(three.send(block, 1, 1000, 1, 1), 900);
  EXPECT_LT(three.send(block, 1, 1000, 9, 9), 150) << "such as lines of a core far away";
  EXPECT_GT(three.send(block, 1, 4000, 1, 1), 3000);
}

TEST(Lending, LendsAllocatedMemoryEverywhere) {
  Three three;
  for (Lending& rank : three.ranks) rank.never_lend();
  for (const BlockKind kind : {BlockKind::pair, BlockKind::reduce, BlockKind::reduce_scatter}) {
    const Traffic block{.kind = kind, .bytes = 64 << 10, .allocated = true};
    EXPECT_GT(three.send(block, 1, 1000, 1, 1), 900);
  }
}

TEST(Lending, KeepsKindsAndSizesApart) {
  Three three;
  const Traffic slow{.kind = BlockKind::pair, .bytes = 64 << 10};
  EXPECT_LT(three.send(slow, -1, 1000, 9, 9), 100);
  for (const Traffic& other : {Traffic{.kind = BlockKind::scatter, .bytes = 64 << 10},
                               Traffic{.kind = BlockKind::pair, .bytes = 128 << 10}}) {
    EXPECT_EQ(three.send(other, -1, 2, 1, 1), 2) << "the first ones are always lent";
  }
}

}  // namespace
}  // namespace tutti::test
