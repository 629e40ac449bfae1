// A seeded sample of the matrix over shared memory and TCP, between real processes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "collectives/algorithms.h"
#include "plan/layout.h"
#include "runtime/collective_case.h"
#include "runtime/engine.h"
#include "support/seccomp.h"
#include "support/values.h"
#include "support/world.h"

namespace tutti::test {
namespace {

#ifdef TUTTI_SANITIZE
constexpr int kCasesPerAlgorithm = 6;
#else
constexpr int kCasesPerAlgorithm = 40;
#endif

struct Scene {
  const char* transport;
  int ranks;
};

class Transports : public testing::TestWithParam<Scene> {};

// Of a message without blocks, or of one block among several.
std::int64_t draw_count(std::mt19937_64& random, std::int64_t largest) {
  const std::int64_t limit = random() % 4 == 0 ? largest : random() % 4 == 0 ? largest / 20 : 300;
  return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(limit));
}

Case draw(std::mt19937_64& random, Collective collective, int ranks) {
  const auto below = [&random](int n) {
    return static_cast<int>(random() % static_cast<unsigned>(n));
  };
  const bool blocks = plan::has_blocks(collective);
  Case one;
  one.collective = collective;
  one.count = draw_count(random, blocks ? 400'000 : 2'000'000);
  one.type = static_cast<DataType>(below(kDataTypeCount));
  one.op = static_cast<ReduceOp>(below(kReduceOpCount));
  if (!supports(one.type, one.op)) one.op = ReduceOp::sum;
  one.premultiplied =
      one.op == ReduceOp::sum && !is_float8(one.type) && below(2) == 0 && plan::reduces(collective);
  one.root = below(ranks);
  one.in_place = below(2) == 0;
  one.uneven = blocks && below(2) == 0;
  return one;
}

std::string run_cases(Communicator& communicator, Collective collective, std::uint64_t seed) {
  std::mt19937_64 random(mix(seed, static_cast<std::uint64_t>(collective)));
  for (int i = 0; i < kCasesPerAlgorithm; ++i) {
    const Case one = draw(random, collective, communicator.size());
    if (std::string wrong = run_case(communicator, one); !wrong.empty()) return wrong;
  }
  return {};
}

using Choice = std::map<Collective, std::string>;

// Every algorithm in some choice, each with one algorithm of each collective at most: as many
// choices, and starts of processes, as the collective with the most algorithms has.
std::vector<Choice> choices(bool with_engine) {
  std::vector<Choice> made;
  const auto add = [&made](Collective collective, std::string_view algorithm) {
    const auto lacking = std::find_if(made.begin(), made.end(), [collective](const Choice& choice) {
      return !choice.contains(collective);
    });
    Choice& choice = lacking == made.end() ? made.emplace_back() : *lacking;
    choice[collective] = algorithm;
  };
  for (const auto& row : collectives::algorithms()) add(row.kind, row.name);
  if (!with_engine) return made;
  for (int native = 0; native < kCollectiveCount; ++native) {
    add(static_cast<Collective>(native), runtime::kEngineName);
  }
  return made;
}

std::string setting(const Choice& choice) {
  std::vector<std::string> words;
  for (const auto& [collective, algorithm] : choice) {
    words.push_back(std::string(name(collective)) + ":" + algorithm);
  }
  return fmt::format("{}", fmt::join(words, ","));
}

TEST_P(Transports, SampleOfTheMatrix) {
  const std::uint64_t seed = test_seed();
  const bool shm = std::string_view(GetParam().transport) == "shm";
  for (const Choice& choice : choices(shm)) {
    Config config = quick_config();
    config.transports = {GetParam().transport};
    config.algorithm = setting(choice);
    const auto exits =
        run_processes(GetParam().ranks, config, [&](Communicator& communicator) -> std::string {
          for (const auto& [collective, algorithm] : choice) {
            std::string wrong = run_cases(communicator, collective, seed);
            if (!wrong.empty()) return algorithm + ": " + wrong;
          }
          return {};
        });
    for (const Exit& exit : exits) {
      EXPECT_EQ(exit.status, 0) << config.algorithm;
      EXPECT_EQ(exit.output, "") << config.algorithm;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, Transports,
                         testing::Values(Scene{"shm", 2}, Scene{"shm", 5}, Scene{"tcp", 2},
                                         Scene{"tcp", 5}),
                         [](const auto& info) {
                           return info.param.transport + std::to_string(info.param.ranks);
                         });

// A ring of long messages, out of memory that is allocated or not.
std::string run_ring(Communicator& c, bool allocated) {
  constexpr std::size_t kCount = 100'000;
  Result<Memory> lent = c.allocate(kCount * sizeof(int));
  if (!lent.ok()) return std::string(lent.status().message());
  std::vector<int> own(allocated ? 0 : kCount);
  const std::span<int> send = allocated ? lent->as<int>() : std::span(own);
  std::vector<int> recv(kCount);
  const int next = (c.rank() + 1) % c.size();
  const int previous = (c.rank() + c.size() - 1) % c.size();
  for (int round = 0; round < 3; ++round) {
    std::iota(send.begin(), send.end(), c.rank() * 1000 + round);
    const Status status =
        c.send_recv(send.data(), kCount, next, recv.data(), kCount, previous, DataType::int32);
    if (!status.ok()) return std::string(status.message());
    for (std::size_t i = 0; i < kCount; ++i) {
      const int want = previous * 1000 + round + static_cast<int>(i);
      if (recv[i] != want) return fmt::format("ring: element {} is {}, not {}", i, recv[i], want);
    }
  }
  return {};
}

// Who names another transport first wants that one, though memory would join the ranks too.
TEST(Engine, GivesWayToATransportThatIsNamedFirst) {
  const std::uint64_t seed = test_seed();
  Config config = quick_config();
  config.transports = {"tcp", "loopback"};
  run_threads(3, config, [&](Communicator& c) {
    EXPECT_NE(c.algorithm(Collective::all_reduce, 1, DataType::float32), runtime::kEngineName);
    for (const Collective collective : {Collective::all_reduce, Collective::all_to_all}) {
      EXPECT_EQ(run_cases(c, collective, seed), "");
    }
    EXPECT_EQ(run_ring(c, false), "");
    EXPECT_EQ(run_ring(c, true), "");
  });
}

// Containers may forbid what the engine reads peers' processes with: it stages everything then that
// is not allocated.
TEST(Engine, DoesWithoutTheMemoryOfOtherProcesses) {
  const std::uint64_t seed = test_seed();
  Config config = quick_config();
  config.transports = {"shm"};
  const auto exits = run_processes(4, config, [&](Communicator& communicator) -> std::string {
    if (!refuse_system_call(SYS_process_vm_readv, EPERM)) return "no seccomp";
    Result<Communicator> second = communicator.duplicate();  // which tries anew what is allowed
    if (!second.ok()) return std::string(second.status().message());
    for (int i = 0; i < kCollectiveCount; ++i) {
      std::string wrong = run_cases(*second, static_cast<Collective>(i), seed);
      if (!wrong.empty()) return wrong;
    }
    for (const bool allocated : {false, true}) {
      std::string wrong = run_ring(*second, allocated);
      if (!wrong.empty()) return wrong;
    }
    return {};
  });
  for (const Exit& exit : exits) {
    if (exit.output == "no seccomp") GTEST_SKIP() << "this kernel refuses seccomp filters";
    EXPECT_EQ(exit.status, 0);
    EXPECT_EQ(exit.output, "");
  }
}

// What was allowed when the communicator was made may be forbidden later.
TEST(Engine, SaysWhoseMemoryCannotBeRead) {
  for (const bool transfers : {false, true}) {
    Config config = quick_config();
    config.transports = {"shm"};
    const auto exits = run_processes(2, config, [&](Communicator& c) -> std::string {
      const bool reads = c.rank() == 0;
      if (reads && !refuse_system_call(SYS_process_vm_readv, EPERM)) return "no seccomp";
      constexpr std::int64_t kCount = 10'000;
      std::vector<std::int32_t> data(kCount);
      std::vector<std::int32_t> all(2 * kCount);
      const auto type = DataType::int32;
      const int peer = 1 - c.rank();
      const Status status =
          !transfers ? c.all_gather(data.data(), all.data(), kCount, type)
                     : c.send_recv(data.data(), kCount, peer, all.data(), kCount, peer, type);
      return std::string(status.message());
    });
    for (const Exit& exit : exits) {
      if (exit.output == "no seccomp") GTEST_SKIP() << "this kernel refuses seccomp filters";
      const std::string call =
          transfers ? "recv(int32, 10000) from rank 1" : "all_gather(int32, 10000)";
      EXPECT_THAT(exit.output, testing::HasSubstr("rank 0 in " + call +
                                                  " cannot read the memory of rank 1 (host "));
      EXPECT_THAT(exit.output, testing::HasSubstr("Operation not permitted (errno 1); look at that "
                                                  "rank's output, and whether something forbids "
                                                  "process_vm_readv"));
    }
  }
}

// What one of several threads cannot read is an error, whatever the others could.
TEST(Engine, SaysWhoseMemoryOneOfItsThreadsCannotRead) {
  for (const Collective collective :
       {Collective::all_gather, Collective::reduce, Collective::all_reduce}) {
    Config config = quick_config();
    config.transports = {"shm"};
    config.threads = 2;
    const auto exits = run_processes(2, config, [&](Communicator& c) -> std::string {
      // For the calling thread; those that help it were there before.
      const bool reads = c.rank() == 0;
      if (reads && !refuse_system_call(SYS_process_vm_readv, EPERM)) return "no seccomp";
      const std::int64_t count = collective == Collective::all_reduce ? 1 << 16 : 1 << 19;
      const auto type = DataType::int32;
      std::vector<std::int32_t> data(static_cast<std::size_t>(count));
      std::vector<std::int32_t> all(static_cast<std::size_t>(2 * count));
      const auto call = [&] {
        if (collective == Collective::all_gather) {
          return c.all_gather(data.data(), all.data(), count, type);
        }
        return collective == Collective::reduce
                   ? c.reduce(data.data(), all.data(), count, type, ReduceOp::sum, 0)
                   : c.all_reduce(data.data(), all.data(), count, type, ReduceOp::sum);
      };
      // Where the caller comes too late for a share, the others read all of it.
      Status status;
      for (int i = 0; i < 100 && status.ok(); ++i) status = call();
      return std::string(status.message());
    });
    if (exits[0].output == "no seccomp") GTEST_SKIP() << "this kernel refuses seccomp filters";
    EXPECT_THAT(exits[0].output, testing::HasSubstr("cannot read the memory of rank 1 (host "))
        << name(collective);
  }
}

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
