// The one function that maps chunks and tiles to elements.
#pragma once

#include <cstdint>

namespace tutti::plan {

struct Range {
  std::int64_t begin = 0;
  std::int64_t count = 0;

  std::int64_t end() const { return begin + count; }
  bool operator==(const Range&) const = default;
};

// Part `index` of [0, count) cut into `parts` consecutive parts whose boundaries (but the last) are
// multiples of `alignment`. Parts differ by at most `alignment` elements as long as count allows;
// the later ones may be empty. Sizes never increase with the index. REQUIRES: count >= 0, parts >=
// 1, alignment >= 1, 0 <= index <= parts (index == parts: empty, at the end).
Range partition(std::int64_t count, std::int64_t parts, std::int64_t alignment, std::int64_t index);

// The parts [index, index + parts_count) together.
Range partition_range(std::int64_t count, std::int64_t parts, std::int64_t alignment,
                      std::int64_t index, std::int64_t parts_count);

}  // namespace tutti::plan
