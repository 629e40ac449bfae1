// How long the search for channels takes: the median of several runs, in CPU time of this thread,
// which other programs on the machine lengthen little.
#pragma once

#include <time.h>

#include <algorithm>
#include <array>

#include "topology/channels.h"

namespace tutti::topology::test {

inline double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

// The sanitizers take their own time.
#ifdef TUTTI_SANITIZE
constexpr std::size_t kSearchRuns = 1;
constexpr double kSearchMsMax = 5'000;
#else
constexpr std::size_t kSearchRuns = 5;
constexpr double kSearchMsMax = 100;
#endif

inline double search_ms(const Graph& graph) {
  std::array<double, kSearchRuns> runs{};
  for (double& run : runs) {
    const double start = cpu_ms();
    (void)find_channels(graph);
    run = cpu_ms() - start;
  }
  std::sort(runs.begin(), runs.end());
  return runs[runs.size() / 2];
}

}  // namespace tutti::topology::test
