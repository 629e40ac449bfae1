// Blocks that are lent or staged, whichever took less so far.
#include "runtime/lending.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support/values.h"
#include "support/world.h"
#include "tutti/communicator.h"

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

TEST(Lending, StreamsNoUnevenAllToAlls) {
  Three three;
  const Traffic uneven{.kind = BlockKind::uneven_all_to_all, .bytes = 64 << 10};
  for (int i = 0; i < 1000; ++i) {
    const Way way = three.ranks[0].next(uneven, 1);
    ASSERT_NE(way, Way::streamed);
    if (way == Way::staged) three.ranks[0].staged(uneven, way, uneven.bytes);
    three.ranks[1].took(uneven, way, 2 * uneven.bytes);
  }
  for (Lending& rank : three.ranks) rank.never_lend();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(three.ranks[0].next(uneven, 1), Way::staged);
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

// Long enough for every way, for each rank's trials and what follows them.
constexpr int kCalls = 120;
constexpr std::int64_t kCount = 20'000;

// What call i adds up to where rank r has r + i + element % 5 everywhere.
std::string wrong_sum(const std::vector<std::int32_t>& sum, int ranks, int i) {
  for (std::size_t e = 0; e < sum.size(); ++e) {
    const int expected = ranks * (ranks - 1) / 2 + ranks * (i + static_cast<int>(e % 5));
    if (sum[e] == expected) continue;
    return fmt::format("call {}, element {}: {} in place of {}", i, e, sum[e], expected);
  }
  return {};
}

// Who is in place changes from call to call, and is another rank each time.
std::string all_reduces(Communicator& c) {
  std::vector<std::int32_t> send(kCount);
  std::vector<std::int32_t> recv(kCount);
  for (int i = 0; i < kCalls; ++i) {
    const bool in_place = i % 7 == 0 || i % (2 * c.size()) == c.rank();
    std::vector<std::int32_t>& input = in_place ? recv : send;
    for (std::size_t e = 0; e < input.size(); ++e) {
      input[e] = c.rank() + i + static_cast<int>(e % 5);
    }
    const Status status =
        c.all_reduce(input.data(), recv.data(), kCount, DataType::int32, ReduceOp::sum);
    if (!status.ok()) return std::string(status.message());
    if (std::string wrong = wrong_sum(recv, c.size(), i); !wrong.empty()) return wrong;
  }
  return {};
}

// What rank `from` has at element e of the buffer that it sends in call i.
std::int32_t sent(int from, std::size_t e, int i) {
  return static_cast<std::int32_t>(static_cast<std::size_t>(1'000'003 * from + 7919 * i) + e);
}

// Collectives that lend, and sends in a ring. Each is called on a buffer that no result has.
class Moves {
 public:
  explicit Moves(Communicator& c) : c_(c), send_(blocks(c.size())), recv_(blocks(c.size())) {}

  std::string run() {
    for (int i = 0; i < kCalls; ++i) {
      for (std::size_t e = 0; e < send_.size(); ++e) send_[e] = sent(c_.rank(), e, i);
      if (std::string wrong = call_each(i); !wrong.empty()) return fmt::format("{}: {}", i, wrong);
    }
    return {};
  }

 private:
  static std::size_t blocks(int count) { return static_cast<std::size_t>(count) * kCount; }

  std::string call_each(int i) {
    const auto type = DataType::int32;
    const int root = i % c_.size();
    const int next = (c_.rank() + 1) % c_.size();
    const int last = (c_.rank() + c_.size() - 1) % c_.size();
    const std::int32_t* const from = send_.data();
    std::int32_t* const to = recv_.data();
    std::string wrong;
    const auto expect = [&](const char* what, Status status, int first, int ranks, int block) {
      if (wrong.empty() && !status.ok()) wrong = std::string(status.message());
      for (int r = 0; r < ranks && wrong.empty(); ++r) wrong = check(what, r, first + r, block, i);
      std::fill(recv_.begin(), recv_.end(), -1);
    };
    std::fill(recv_.begin(), recv_.end(), -1);
    const int all = c_.size();
    expect("all_gather", c_.all_gather(from, to, kCount, type), 0, all, 0);
    expect("all_to_all", c_.all_to_all(from, to, kCount, type), 0, all, c_.rank());
    expect("broadcast", c_.broadcast(from, to, kCount, type, root), root, 1, 0);
    expect("scatter", c_.scatter(from, to, kCount, type, root), root, 1, c_.rank());
    expect("gather", c_.gather(from, to, kCount, type, root), 0, c_.rank() == root ? all : 0, 0);
    expect("send_recv", c_.send_recv(from, kCount, next, to, kCount, last, type), last, 1, 0);
    return wrong;
  }

  // Is block `at` of the output the rank's block of that number?
  std::string check(const char* what, int at, int rank, int block, int i) const {
    for (std::size_t e = 0; e < static_cast<std::size_t>(kCount); ++e) {
      const std::int32_t found = recv_[blocks(at) + e];
      const std::int32_t right = sent(rank, blocks(block) + e, i);
      if (found == right) continue;
      return fmt::format("{}, block {}, element {}: {} in place of {}", what, at, e, found, right);
    }
    return {};
  }

  Communicator& c_;
  std::vector<std::int32_t> send_;
  std::vector<std::int32_t> recv_;
};

// Sums of int32: what rank r has at element e of call i is r + i + e % 5. Long enough for a trial
// of each way, of blocks that take part of a slot, and for all_reduce of several tiles.
std::string reductions(Communicator& c, std::int64_t count, int calls) {
  const auto whole = static_cast<std::size_t>(count * c.size());
  std::vector<std::int32_t> send(whole);
  std::vector<std::int32_t> recv(whole);
  for (int i = 0; i < calls; ++i) {
    for (std::size_t e = 0; e < whole; ++e) send[e] = c.rank() + i + static_cast<int>(e % 5);
    const int root = i % c.size();
    for (int kind = 0; kind < 3; ++kind) {
      std::fill(recv.begin(), recv.end(), -1);
      const auto type = DataType::int32;
      const std::int64_t all = count * c.size();
      const Status status =
          kind == 0   ? c.all_reduce(send.data(), recv.data(), all, type, ReduceOp::sum)
          : kind == 1 ? c.reduce(send.data(), recv.data(), all, type, ReduceOp::sum, root)
                      : c.reduce_scatter(send.data(), recv.data(), count, type, ReduceOp::sum);
      if (!status.ok()) return std::string(status.message());
      const bool has = kind != 1 || c.rank() == root;
      const std::size_t mine = kind == 2 ? static_cast<std::size_t>(count) : whole;
      const std::size_t first = kind == 2 ? mine * static_cast<std::size_t>(c.rank()) : 0;
      for (std::size_t e = 0; has && e < mine; ++e) {
        const int one = i + static_cast<int>((first + e) % 5);
        const int expected = c.size() * (c.size() - 1) / 2 + c.size() * one;
        if (recv[e] == expected) continue;
        return fmt::format("kind {}, call {}, element {}: {} in place of {}", kind, i, e, recv[e],
                           expected);
      }
    }
  }
  return {};
}

TEST(Lending, ChangesNoReduction) {
  Config config = quick_config();
  config.transports = {"shm"};
  for (const int ranks : {2, 3}) {
    const auto body = [](Communicator& c) {
      std::string wrong = reductions(c, 20'000 / c.size(), 80);
      if (wrong.empty()) wrong = reductions(c, 100'000 / c.size(), 30);
      return wrong.empty() ? reductions(c, 600'000 / c.size(), 20) : wrong;
    };
    constexpr int kTimeoutS = 240;
    for (const Exit& exit : run_processes(ranks, config, body, nullptr, kTimeoutS)) {
      EXPECT_EQ(exit.status, 0);
      EXPECT_EQ(exit.output, "") << ranks << " ranks";
    }
  }
}

TEST(Lending, ChangesNoResult) {
  Config config = quick_config();
  config.transports = {"shm"};
  for (const int ranks : {2, 3}) {
    const auto body = [](Communicator& c) {
      std::string wrong = all_reduces(c);
      return wrong.empty() ? Moves(c).run() : wrong;
    };
    constexpr int kTimeoutS = 240;  // of ThreadSanitizer's
    for (const Exit& exit : run_processes(ranks, config, body, nullptr, kTimeoutS)) {
      EXPECT_EQ(exit.status, 0);
      EXPECT_EQ(exit.output, "") << ranks << " ranks";
    }
  }
}

}  // namespace
}  // namespace tutti::test
