// What overlap_perf measures, and how it is printed. Plain values and pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "overlap/options.h"

namespace tutti::perf {

// Times in microseconds per iteration.
struct OverlapRow {
  std::int64_t bytes = 0;
  std::int64_t count = 0;
  double compute_us = 0;
  double communication_us = 0;
  double both_us = 0;
  std::int64_t wrong = 0;

  // The time saved as a share of the shorter part: 1 when it is hidden altogether, below 0 when the
  // two are in each other's way. 0 where nothing takes time.
  double overlap() const;
};

std::string overlap_preamble(int ranks, const OverlapOptions& options);
std::string format_overlap_row(const OverlapRow& row);
nlohmann::ordered_json overlap_json(int ranks, const OverlapOptions& options,
                                    const std::vector<OverlapRow>& rows);

}  // namespace tutti::perf
