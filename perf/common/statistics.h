// Summary of a series of times. Pure.
#pragma once

#include <span>

namespace tutti::perf {

struct Statistics {
  double min = 0;
  double max = 0;
  double mean = 0;
  double p50 = 0;
  double p95 = 0;
  double p99 = 0;
  double deviation = 0;  // of the population: the square root of the mean squared distance
  // Coefficient of variation in percent: deviation / mean.
  double variation_percent() const { return mean > 0 ? 100 * deviation / mean : 0; }
};

// Percentiles are members of the series: the smallest value that at least that share does not
// exceed. With fewer than 100 samples p99 is therefore the maximum. Zeros for an empty series.
Statistics summarize(std::span<const double> values);

}  // namespace tutti::perf
