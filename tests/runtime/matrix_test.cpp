// The generated matrix over loopback: every collective x algorithm x ranks 1..17 x counts x types x
// operators x in place x even and uneven blocks. Each run draws a sample of it, a smaller one under
// a sanitizer, where each case takes some ten times longer; TUTTI_TEST_ONE_IN=1 runs the whole
// (434,833 cases, some twenty minutes on two cores).

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "collectives/algorithms.h"
#include "plan/layout.h"
#include "runtime/collective_case.h"
#include "runtime/engine.h"
#include "support/values.h"
#include "support/world.h"

namespace tutti::test {
namespace {

#ifdef TUTTI_SANITIZE
constexpr std::uint64_t kUsualOneIn = 120;
#else
constexpr std::uint64_t kUsualOneIn = 30;
#endif

constexpr int kRanksMax = 17;

struct Row {
  Collective collective;
  std::string algorithm;
};

std::vector<Row> rows() {
  std::vector<Row> rows;
  for (const auto& algorithm : collectives::algorithms()) {
    rows.push_back({algorithm.kind, std::string(algorithm.name)});
  }
  for (int native = 0; native < kCollectiveCount; ++native) {
    rows.push_back({static_cast<Collective>(native), std::string(runtime::kEngineName)});
  }
  return rows;
}

std::vector<std::int64_t> counts_of(Collective collective) {
  if (collective == Collective::barrier) return {0};
  if (plan::has_blocks(collective)) return {std::begin(kBlockCounts), std::end(kBlockCounts)};
  return {std::begin(kCounts), std::end(kCounts)};
}

// The operators of the type; the premultiplied sum comes after them, as one more.
std::vector<Case> operators_of(const Case& one) {
  if (!plan::reduces(one.collective) || one.collective == Collective::barrier) return {one};
  std::vector<Case> cases;
  for (int op = 0; op < kReduceOpCount; ++op) {
    Case with = one;
    with.op = static_cast<ReduceOp>(op);
    if (supports(one.type, with.op)) cases.push_back(with);
  }
  // float8 has no room for doubled sums.
  if (!is_float8(one.type)) {
    cases.push_back(one);
    cases.back().premultiplied = true;
  }
  return cases;
}

// What decides which cases are drawn.
struct Draw {
  std::uint64_t seed;
  std::uint64_t one_in;

  // Of the costly cases, the longest messages of several blocks, every fourth is drawn.
  std::uint64_t one_in_of(Collective collective, std::int64_t count) const {
    const bool costly = plan::has_blocks(collective) && count > 1000;
    return one_in * (costly ? 4U : 1U);
  }
};

// Same seed, same cases: every rank makes the same calls. A collective with a root takes another
// one in each case.
std::vector<Case> cases_of(Collective collective, int ranks, const Draw& draw) {
  std::mt19937_64 random(mix(draw.seed, static_cast<std::uint64_t>(ranks)));
  const bool has_v = plan::has_blocks(collective);
  std::vector<Case> cases;
  for (const std::int64_t count : counts_of(collective)) {
    for (int type = 0; type < kDataTypeCount; ++type) {
      for (const bool uneven : {false, true}) {
        for (const bool in_place : {false, true}) {
          if (uneven && !has_v) continue;
          const Case one{.collective = collective,
                         .count = count,
                         .type = static_cast<DataType>(type),
                         .in_place = in_place,
                         .uneven = uneven};
          for (Case with : operators_of(one)) {
            const std::uint64_t drawn = random();
            if (drawn % draw.one_in_of(collective, count) != 0) continue;
            with.root = static_cast<int>(drawn / 1024 % static_cast<unsigned>(ranks));
            cases.push_back(with);
          }
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

class Matrix : public testing::TestWithParam<Row> {};

TEST_P(Matrix, EveryRankCountCountTypeOperatorAndPlace) {
  const Draw draw{.seed = test_seed(), .one_in = test_one_in(kUsualOneIn)};
  std::size_t total = 0;
  for (int ranks = 1; ranks <= kRanksMax; ++ranks) {
    if (ranks == 1 && GetParam().algorithm == runtime::kEngineName) continue;
    Config config = quick_config();
    config.algorithm = fmt::format("{}:{}", name(GetParam().collective), GetParam().algorithm);
    const std::vector<Case> cases = cases_of(GetParam().collective, ranks, draw);
    total += cases.size();
    Complaints complaints;
    run_threads(ranks, config, [&](Communicator& communicator) {
      for (const Case& one : cases) {
        std::string complaint = run_case(communicator, one);
        if (complaint.empty()) continue;
        complaints.add(complaint);
        break;
      }
    });
    ASSERT_FALSE(complaints.any()) << complaints.text();
  }
  std::cout << total << " cases\n";
}

INSTANTIATE_TEST_SUITE_P(Algorithms, Matrix, testing::ValuesIn(rows()),
                         [](const testing::TestParamInfo<Row>& info) {
                           return fmt::format("{}_{}", name(info.param.collective),
                                              info.param.algorithm);
                         });

}  // namespace
}  // namespace tutti::test
