// A seeded sample of the matrix over shared memory and TCP, between real processes.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "collectives/algorithms.h"
#include "runtime/collective_case.h"
#include "runtime/engine.h"
#include "support/values.h"
#include "support/world.h"

namespace tutti::test {
namespace {

#ifdef TUTTI_SANITIZE
constexpr int kCasesPerAlgorithm = 10;
#else
constexpr int kCasesPerAlgorithm = 60;
#endif

struct Scene {
  const char* transport;
  int ranks;
};

class Transports : public testing::TestWithParam<Scene> {};

Case draw(std::mt19937_64& random, int ranks) {
  const auto below = [&random](int n) {
    return static_cast<int>(random() % static_cast<unsigned>(n));
  };
  Case one;
  one.count = below(4) == 0 ? below(2'000'000) : below(4) == 0 ? below(100'000) : below(300);
  one.type = static_cast<DataType>(below(kDataTypeCount));
  one.op = static_cast<ReduceOp>(below(kReduceOpCount));
  one.root = below(ranks);
  one.in_place = below(2) == 0;
  return one;
}

std::string run_cases(Communicator& communicator, plan::Kind kind, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (int i = 0; i < kCasesPerAlgorithm; ++i) {
    const Case one = draw(random, communicator.size());
    std::string wrong = kind == plan::Kind::all_reduce ? run_all_reduce(communicator, one)
                                                       : run_broadcast(communicator, one);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

TEST_P(Transports, SampleOfTheMatrix) {
  const std::uint64_t seed = test_seed();
  const auto run = [&](plan::Kind kind, std::string_view algorithm) {
    Config config = quick_config();
    config.transports = {GetParam().transport};
    config.algorithm =
        (kind == plan::Kind::all_reduce ? "all_reduce:" : "broadcast:") + std::string(algorithm);
    const auto exits = run_processes(GetParam().ranks, config, [&](Communicator& communicator) {
      return run_cases(communicator, kind, seed);
    });
    for (const Exit& exit : exits) {
      EXPECT_EQ(exit.status, 0) << config.algorithm;
      EXPECT_EQ(exit.output, "") << config.algorithm;
    }
  };
  for (const auto& row : collectives::algorithms()) run(row.kind, row.name);
  if (std::string_view(GetParam().transport) == "shm") {
    run(plan::Kind::all_reduce, runtime::kEngineName);
    run(plan::Kind::broadcast, runtime::kEngineName);
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, Transports,
                         testing::Values(Scene{"shm", 2}, Scene{"shm", 5}, Scene{"tcp", 2},
                                         Scene{"tcp", 5}),
                         [](const auto& info) {
                           return info.param.transport + std::to_string(info.param.ranks);
                         });

// The engine reduces every element over all ranks in rank order, as its reference plan does, so the
// results are the same bits also where the order matters.
TEST(Engine, GivesTheBitsOfItsReferencePlan) {
  const std::uint64_t seed = test_seed();
  std::vector<std::vector<double>> results;
  for (const char* algorithm : {"all_reduce:shm", "all_reduce:direct"}) {
    Config config = quick_config();
    config.algorithm = algorithm;
    for (const std::int64_t count : {3, 700, 5000, 300'000}) {
      std::vector<std::vector<double>> ranks(5);
      run_threads(5, config, [&](Communicator& communicator) {
        std::mt19937_64 random(seed + static_cast<std::uint64_t>(communicator.rank()));
        std::uniform_real_distribution<double> uniform(-1e10, 1e10);
        auto& values = ranks[static_cast<std::size_t>(communicator.rank())];
        values.resize(static_cast<std::size_t>(count));
        for (double& value : values) value = uniform(random);
        ASSERT_TRUE(
            communicator
                .all_reduce(values.data(), values.data(), count, DataType::float64, ReduceOp::sum)
                .ok());
      });
      for (const auto& other : ranks) ASSERT_EQ(other, ranks[0]);
      results.push_back(ranks[0]);
    }
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(results[i], results[i + 4]) << "count case " << i;
}

}  // namespace
}  // namespace tutti::test
