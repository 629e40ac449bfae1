#include "common/sizes.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <string>

#include "base/error.h"

namespace tutti::perf {
namespace {

// The multiple that a suffix stands for, 0 when it is not one: "", "B", "K", "KB", "KiB", ...
double multiple(std::string_view suffix) {
  std::string upper;
  for (const char c : suffix)
    upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (upper.empty() || upper == "B") return 1;
  const std::string_view rest = std::string_view(upper).substr(1);
  if (!rest.empty() && rest != "B" && rest != "IB") return 0;
  switch (upper[0]) {
    case 'K':
      return 0x1p10;
    case 'M':
      return 0x1p20;
    case 'G':
      return 0x1p30;
    case 'T':
      return 0x1p40;
    default:
      return 0;
  }
}

}  // namespace

Result<std::int64_t> parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const double unit = multiple(text.substr(static_cast<std::size_t>(end - text.data())));
  const double bytes = std::floor(number * unit);
  if (failure != std::errc{} || unit == 0 || !std::isfinite(bytes) || bytes < 0) {
    return error(Code::invalid_argument,
                 "\"{}\" is not a size; write bytes, such as 8, 4K, 4KiB or 1.5M (1K = 1024)",
                 text);
  }
  // Larger sizes would not fit the arithmetic of offsets; no machine has that much memory either.
  if (bytes > 0x1p50) return error(Code::invalid_argument, "\"{}\" is larger than 1024T", text);
  return static_cast<std::int64_t>(bytes);
}

std::vector<std::int64_t> element_counts(const Sweep& sweep, std::int64_t element_bytes) {
  std::vector<std::int64_t> counts;
  for (std::int64_t bytes = sweep.min_bytes; bytes <= sweep.max_bytes;) {
    const std::int64_t count = bytes / element_bytes;
    if (counts.empty() || counts.back() != count) counts.push_back(count);
    if (sweep.factor <= 1 && sweep.step_bytes <= 0) break;
    // Multiplying never leaves 0, so a sweep that starts there goes on from 1 byte.
    bytes = sweep.factor <= 1 ? bytes + sweep.step_bytes : bytes == 0 ? 1 : bytes * sweep.factor;
  }
  return counts;
}

}  // namespace tutti::perf
