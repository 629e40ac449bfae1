// Computation that needs the core and its nearest cache and nothing else, so that what it takes
// away from communication is the processor, not the memory. One thread's use.
#pragma once

#include <array>
#include <cstdint>

namespace tutti::perf {

class Compute {
 public:
  // Passes over the values, a fraction of a microsecond each.
  void run(std::int64_t passes);
  // Of one pass: the least of several measurements of about a millisecond.
  double pass_us();

 private:
  std::array<float, 512> values_{};
};

}  // namespace tutti::perf
