// What one rank's plan costs to make, passes included: time, the program's bytes, and the most
// memory that was in use on the way. Of several ranks the dearest, each the median of several runs.
//
//   plan_bench [RANKS...]     default: 64 4096
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "collectives/algorithms.h"
#include "plan/passes.h"
#include "plan/print.h"

namespace {

using namespace tutti;

constexpr int kRuns = 11;
constexpr int kRanksMax = 65535;  // what a chunk of an all-to-all can name

// Of operator new below; this program has one thread.
std::size_t bytes_now = 0;
std::size_t bytes_most = 0;

struct Cost {
  double time_us = 0;
  std::size_t program_bytes = 0;
  std::size_t peak_bytes = 0;
  std::size_t steps = 0;
};

Cost cost_of(const collectives::Algorithm& algorithm, int ranks, int rank) {
  const plan::Shape shape{.kind = algorithm.kind, .ranks = ranks};
  Cost cost;
  std::vector<double> times_us;
  for (int run = 0; run < kRuns; ++run) {
    const std::size_t before = bytes_now;
    bytes_most = before;
    const auto start = std::chrono::steady_clock::now();
    const plan::Program program = plan::build(algorithm.build, rank, shape);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    times_us.push_back(took.count());
    cost.peak_bytes = bytes_most - before;
    cost.program_bytes = program.steps.capacity() * sizeof(plan::Step);
    cost.steps = program.steps.size();
  }
  std::ranges::nth_element(times_us, times_us.begin() + kRuns / 2);
  cost.time_us = times_us[kRuns / 2];
  return cost;
}

void print(const collectives::Algorithm& algorithm, int ranks) {
  Cost dearest;
  for (const int rank : {0, 1, ranks / 2 - 1, ranks / 2, ranks - 1}) {
    const Cost cost = cost_of(algorithm, ranks, rank);
    dearest.time_us = std::max(dearest.time_us, cost.time_us);
    dearest.program_bytes = std::max(dearest.program_bytes, cost.program_bytes);
    dearest.peak_bytes = std::max(dearest.peak_bytes, cost.peak_bytes);
    dearest.steps = std::max(dearest.steps, cost.steps);
  }
  fmt::print("{:<15} {:<26} {:>6} {:>8} {:>10.1f} {:>12.1f} {:>10.1f}\n", name(algorithm.kind),
             algorithm.name, ranks, dearest.steps, dearest.time_us,
             static_cast<double>(dearest.program_bytes) / 1024,
             static_cast<double>(dearest.peak_bytes) / 1024);
}

}  // namespace

void* operator new(std::size_t bytes) {
  void* const memory = std::malloc(bytes);  // tidy: allow malloc: it is operator new
  if (memory == nullptr) std::abort();
  bytes_now += ::malloc_usable_size(memory);
  bytes_most = std::max(bytes_most, bytes_now);
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) bytes_now -= ::malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
  operator delete(memory);
}

int main(int argc, char** argv) {
  std::vector<int> sizes;
  for (int i = 1; i < argc; ++i) {
    const int ranks = std::atoi(argv[i]);
    if (ranks < 2 || ranks > kRanksMax) {
      fmt::print(stderr, "plan_bench: '{}' is no number of ranks from 2 to {}\n", argv[i],
                 kRanksMax);
      return 2;
    }
    sizes.push_back(ranks);
  }
  if (sizes.empty()) sizes = {64, 4096};
  fmt::print("{:<15} {:<26} {:>6} {:>8} {:>10} {:>12} {:>10}\n", "collective", "algorithm", "ranks",
             "steps", "time us", "program KiB", "peak KiB");
  for (const collectives::Algorithm& algorithm : collectives::algorithms()) {
    for (const int ranks : sizes) print(algorithm, ranks);
  }
  return 0;
}
