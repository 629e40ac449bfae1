#include "overlap/compute.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace tutti::perf {

void Compute::run(std::int64_t passes) {
  for (std::int64_t pass = 0; pass < passes; ++pass) {
    for (float& value : values_) value = value * 0.5F + 1.0F;  // towards 2: never out of range
    asm volatile("" : : "r"(values_.data()) : "memory");       // no pass is left out
  }
}

double Compute::pass_us() {
  constexpr int kMeasurements = 5;
  constexpr std::int64_t kPasses = 20'000;
  double least = std::numeric_limits<double>::max();
  for (int i = 0; i < kMeasurements; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run(kPasses);
    const std::chrono::duration<double, std::micro> elapsed =
        std::chrono::steady_clock::now() - start;
    least = std::min(least, elapsed.count() / kPasses);
  }
  return least;
}

}  // namespace tutti::perf
