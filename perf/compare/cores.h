// Threads that work at the same time, one pinned to each core. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "tutti/status.h"

namespace tutti::compare {

// CPUs that this process may use, ascending.
std::vector<int> usable_cpus();

// Until all threads are here. One use only; does not sleep, since whoever waits is timed.
class StartLine {
 public:
  explicit StartLine(int threads) : missing_(threads) {}
  void wait() {
    missing_.fetch_sub(1);
    while (missing_.load() > 0) {
    }
  }

 private:
  std::atomic<int> missing_;
};

// Microseconds of one iteration in the best of a few batches: what the machine can do shows when
// nothing else runs on it. run(n) makes n iterations.
template <typename Run>
double best_batch_us(std::int64_t iterations, Run run) {
  constexpr std::int64_t kBatches = 8;
  const std::int64_t batch = std::max<std::int64_t>(1, iterations / kBatches);
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t done = 0; done < iterations; done += batch) {
    const auto start = std::chrono::steady_clock::now();
    run(batch);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / static_cast<double>(batch));
  }
  return best;
}

// Runs work(0, line), ... work(threads - 1, line), each on a core of its own, and returns the
// largest result. Fails when there are fewer cores, or when a thread cannot be pinned.
Result<double> run_on_cores(int threads, const std::function<double(int, StartLine&)>& work);

}  // namespace tutti::compare
