// The command line of overlap_perf. A plain value.
#pragma once

#include <string>
#include <vector>

#include "common/options.h"

namespace tutti::perf {

struct OverlapOptions {
  Sweep sweep{64 << 10, 16 << 20, 0, 4};
  std::int64_t iterations = 20;
  std::int64_t warmup_iterations = 5;
  int threads = 1;
  bool json = false;
};

using ParsedOverlapOptions = Parsed<OverlapOptions>;
ParsedOverlapOptions parse_overlap_options(const std::vector<std::string>& arguments);

}  // namespace tutti::perf
