#include "common/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

namespace tutti::perf {

Statistics summarize(std::span<const double> values) {
  if (values.empty()) return {};
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t size = sorted.size();
  const auto percentile = [&](std::size_t percent) {
    return sorted[std::max<std::size_t>((size * percent + 99) / 100, 1) - 1];
  };
  Statistics result;
  result.min = sorted.front();
  result.max = sorted.back();
  result.p50 = percentile(50);
  result.p95 = percentile(95);
  result.p99 = percentile(99);
  result.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(size);
  double squares = 0;
  for (const double value : sorted) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / static_cast<double>(size));
  return result;
}

}  // namespace tutti::perf
