// The generated matrix over loopback: every algorithm x ranks 1..17 x counts x types x operators x
// in place. Under a sanitizer, a seeded sample of it (each case is then some ten times slower).

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "collectives/algorithms.h"
#include "runtime/collective_case.h"
#include "runtime/engine.h"
#include "support/values.h"
#include "support/world.h"

namespace tutti::test {
namespace {

#ifdef TUTTI_SANITIZE
constexpr unsigned kSampleOneIn = 12;
#else
constexpr unsigned kSampleOneIn = 1;
#endif

constexpr int kRanksMax = 17;

std::vector<std::string> algorithm_names(plan::Kind kind) {
  std::vector<std::string> names{std::string(runtime::kEngineName)};
  for (const auto& row : collectives::algorithms()) {
    if (row.kind == kind) names.emplace_back(row.name);
  }
  return names;
}

// Draws the sample; the same on every rank.
class Sample {
 public:
  explicit Sample(std::uint64_t seed) : random_(seed) {}
  bool take() { return kSampleOneIn == 1 || random_() % kSampleOneIn == 0; }

 private:
  std::mt19937_64 random_;
};

std::vector<Case> all_reduce_cases(Sample sample) {
  std::vector<Case> cases;
  for (const std::int64_t count : kCounts) {
    for (int type = 0; type < kDataTypeCount; ++type) {
      for (int op = 0; op < kReduceOpCount; ++op) {
        for (const bool in_place : {false, true}) {
          if (!sample.take()) continue;
          cases.push_back({.count = count,
                           .type = static_cast<DataType>(type),
                           .op = static_cast<ReduceOp>(op),
                           .in_place = in_place});
        }
      }
    }
  }
  return cases;
}

std::vector<Case> broadcast_cases(Sample sample, int ranks) {
  std::vector<Case> cases;
  for (const std::int64_t count : kCounts) {
    for (int type = 0; type < kDataTypeCount; ++type) {
      for (const int root : {0, ranks / 2, ranks - 1}) {
        for (const bool in_place : {false, true}) {
          if (!sample.take()) continue;
          cases.push_back({.count = count,
                           .type = static_cast<DataType>(type),
                           .root = root,
                           .in_place = in_place});
        }
      }
    }
  }
  return cases;
}

// Collects the first complaints of all ranks.
class Complaints {
 public:
  void add(const std::string& text) {
    if (text.empty()) return;
    const std::lock_guard lock(mutex_);
    if (texts_.size() < 5) texts_.push_back(text);
  }
  bool any() {
    const std::lock_guard lock(mutex_);
    return !texts_.empty();
  }
  std::string text() { return fmt::format("{}", fmt::join(texts_, "\n")); }

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
};

class Matrix : public testing::TestWithParam<std::string> {};
class AllReduceMatrix : public Matrix {};
class BroadcastMatrix : public Matrix {};

TEST_P(AllReduceMatrix, EveryRankCountCountTypeOperatorAndPlace) {
  const std::uint64_t seed = test_seed();
  for (int ranks = 1; ranks <= kRanksMax; ++ranks) {
    if (ranks == 1 && GetParam() == runtime::kEngineName) continue;
    Config config = quick_config();
    config.algorithm = "all_reduce:" + GetParam();
    const auto cases = all_reduce_cases(Sample(mix(seed, static_cast<std::uint64_t>(ranks))));
    Complaints complaints;
    run_threads(ranks, config, [&](Communicator& communicator) {
      for (const Case& one : cases) complaints.add(run_all_reduce(communicator, one));
    });
    ASSERT_FALSE(complaints.any()) << complaints.text();
  }
}

TEST_P(BroadcastMatrix, EveryRankCountCountTypeRootAndPlace) {
  const std::uint64_t seed = test_seed();
  for (int ranks = 1; ranks <= kRanksMax; ++ranks) {
    if (ranks == 1 && GetParam() == runtime::kEngineName) continue;
    Config config = quick_config();
    config.algorithm = "broadcast:" + GetParam();
    const auto cases = broadcast_cases(Sample(mix(seed, static_cast<std::uint64_t>(ranks))), ranks);
    Complaints complaints;
    run_threads(ranks, config, [&](Communicator& communicator) {
      for (const Case& one : cases) complaints.add(run_broadcast(communicator, one));
    });
    ASSERT_FALSE(complaints.any()) << complaints.text();
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

INSTANTIATE_TEST_SUITE_P(Algorithms, AllReduceMatrix,
                         testing::ValuesIn(algorithm_names(plan::Kind::all_reduce)), test_name);
INSTANTIATE_TEST_SUITE_P(Algorithms, BroadcastMatrix,
                         testing::ValuesIn(algorithm_names(plan::Kind::broadcast)), test_name);

}  // namespace
}  // namespace tutti::test
