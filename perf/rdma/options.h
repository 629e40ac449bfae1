// The command line of rdma_perf. A plain value and the function that fills it in.
#pragma once

#include <cstdint>
#include <optional>

namespace tutti::perf {

struct RdmaOptions {
  bool latency = false;
  bool both_ways = false;
  bool json = false;
  std::int64_t min_bytes = 8;
  std::int64_t max_bytes = 4 << 20;
  std::int64_t iterations = 1000;
  std::int64_t warmup_iterations = 20;
  int lanes = 4;
};

// Empty when the program is to end at once, with `exit_code`: --help, or a wrong argument.
std::optional<RdmaOptions> parse_rdma_options(int argc, char** argv, int& exit_code);

}  // namespace tutti::perf
