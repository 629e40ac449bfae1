// Message sizes: reading them from text and walking from the smallest to the largest. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tutti/status.h"

namespace tutti::perf {

// "8", "4K", "4KB", "4KiB", "1.5M": bytes, with binary multiples up to T in either case, as
// nccl-tests has them. An error names the text.
Result<std::int64_t> parse_bytes(std::string_view text);

// How sizes follow each other: times `factor` when it is above 1, or else plus `step_bytes`.
struct Sweep {
  std::int64_t min_bytes;
  std::int64_t max_bytes;
  std::int64_t step_bytes;
  std::int64_t factor;
};

// The element counts of a sweep, ascending. A size that gives the same count as the one before it
// (less than one element further) is left out, so no row is measured twice.
std::vector<std::int64_t> element_counts(const Sweep& sweep, std::int64_t element_bytes);

}  // namespace tutti::perf
