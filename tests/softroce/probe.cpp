// One rank of a job that the guests' sessions start: real communicators from the environment, whose
// results are checked.
//
//   softroce_probe matrix CASES           a sample of the matrix of every algorithm
//   softroce_probe loop OPERATIONS BYTES  that many all-reduces, with a line for each tenth, so
//   that
//                                         a session can break something at a known moment
//
// Exit status: 0 all right, 1 with one line that begins with "failed", 2 for wrong usage.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/try.h"
#include "collectives/algorithms.h"
#include "plan/layout.h"
#include "runtime/collective_case.h"
#include "support/values.h"
#include "tutti/bootstrap.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

constexpr int kUsageError = 2;
constexpr int kReportEvery = 10;

void say(std::string_view line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

int fail(std::string_view why) {
  say(fmt::format("failed: {}", why));
  return 1;
}

Result<Communicator> join(const std::string& algorithm) {
  TUTTI_TRY_ASSIGN(Config config, Config::from_env());
  if (!algorithm.empty()) config.algorithm = algorithm;
  TUTTI_TRY_ASSIGN(const auto bootstrap, bootstrap_from_env(config));
  return Communicator::create(*bootstrap, config);
}

// The same on every rank: rank 0's.
Result<std::uint64_t> common_seed() {
  std::uint64_t seed = test_seed();
  TUTTI_TRY_ASSIGN(Communicator communicator, join(""));
  TUTTI_TRY(communicator.broadcast(&seed, &seed, 1, DataType::uint64, 0));
  return seed;
}

Case draw(std::mt19937_64& random, Collective collective, int ranks) {
  const auto below = [&random](int n) {
    return static_cast<int>(random() % static_cast<unsigned>(n));
  };
  Case one;
  one.collective = collective;
  one.count = below(4) == 0 ? below(200'000) : below(3) == 0 ? below(20'000) : below(300);
  one.type = static_cast<DataType>(below(kDataTypeCount));
  one.op = static_cast<ReduceOp>(below(kReduceOpCount));
  if (!supports(one.type, one.op)) one.op = ReduceOp::sum;
  one.uneven = plan::has_blocks(collective) && below(2) == 0;
  one.root = below(ranks);
  one.in_place = below(2) == 0;
  return one;
}

int run_matrix(int cases) {
  const auto seed = common_seed();
  if (!seed.ok()) return fail(seed.status().message());
  say(fmt::format("seed of all ranks: {}", *seed));
  std::mt19937_64 random(*seed);  // one, so that algorithms have different cases
  for (const auto& row : collectives::algorithms()) {
    auto communicator = join(fmt::format("{}:{}", name(row.kind), row.name));
    if (!communicator.ok()) return fail(communicator.status().message());
    for (int i = 0; i < cases; ++i) {
      const Case one = draw(random, row.kind, communicator->size());
      const std::string wrong = run_case(*communicator, one);
      if (!wrong.empty()) return fail(fmt::format("{}: {}", row.name, wrong));
    }
    say(fmt::format("{} cases right: {} {}", cases, name(row.kind), row.name));
  }
  return 0;
}

// Known once ranks have connected: another one may have had to take the place of the first.
void say_transports(const Communicator& communicator) {
  for (int peer = 0; peer < communicator.size(); ++peer) {
    if (peer == communicator.rank()) continue;
    say(fmt::format("transport to rank {}: {}", peer, communicator.transport(peer)));
  }
}

int run_loop(int operations, int bytes) {
  auto communicator = join("");
  if (!communicator.ok()) return fail(communicator.status().message());
  const Case one{.count = bytes / 4, .type = DataType::float32, .op = ReduceOp::sum};
  std::vector<double> times_ms;
  for (int i = 0; i < operations; ++i) {
    const auto began = Clock::now();
    const std::string wrong = run_case(*communicator, one);
    if (!wrong.empty()) return fail(fmt::format("operation {}: {}", i, wrong));
    if (i == 0) say_transports(*communicator);
    times_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
    if ((i + 1) % kReportEvery == 0) say(fmt::format("operation {} done", i + 1));
  }
  std::sort(times_ms.begin(), times_ms.end());
  say(fmt::format("all {} operations right; median {:.1f} ms, longest {:.1f} ms", operations,
                  times_ms[times_ms.size() / 2], times_ms.back()));
  return 0;
}

std::optional<int> positive(std::string_view text) {
  int value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

int run(const std::vector<std::string_view>& words) {
  std::vector<int> numbers;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto number = positive(words[i]);
    if (number) numbers.push_back(*number);
  }
  if (words.size() == 2 && words[0] == "matrix" && numbers.size() == 1) {
    return run_matrix(numbers[0]);
  }
  if (words.size() == 3 && words[0] == "loop" && numbers.size() == 2) {
    return run_loop(numbers[0], numbers[1]);
  }
  say("usage: softroce_probe matrix CASES | softroce_probe loop OPERATIONS BYTES");
  return kUsageError;
}

}  // namespace
}  // namespace tutti::test

int main(int argc, char** argv) {
  return tutti::test::run({argv + 1, argv + argc});
}
