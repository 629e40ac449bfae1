// Threads that work at the same time, one pinned to each core. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
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

// Runs work(0, line), ... work(threads - 1, line), each on a core of its own, and returns the
// largest result. Fails when there are fewer cores, or when a thread cannot be pinned.
Result<double> run_on_cores(int threads, const std::function<double(int, StartLine&)>& work);

}  // namespace tutti::compare
