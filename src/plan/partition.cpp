#include "plan/partition.h"

#include <algorithm>
#include <cassert>

namespace tutti::plan {
namespace {

// Where part `index` begins. Counts whole blocks of `alignment` elements, so that no product
// exceeds `count`.
std::int64_t begin_of(std::int64_t count, std::int64_t parts, std::int64_t alignment,
                      std::int64_t index) {
  const std::int64_t blocks = count / alignment + (count % alignment != 0 ? 1 : 0);
  const std::int64_t begin = index * (blocks / parts) + std::min(index, blocks % parts);
  return begin == blocks ? count : begin * alignment;
}

}  // namespace

Range partition(std::int64_t count, std::int64_t parts, std::int64_t alignment,
                std::int64_t index) {
  return partition_range(count, parts, alignment, index, index < parts ? 1 : 0);
}

Range partition_range(std::int64_t count, std::int64_t parts, std::int64_t alignment,
                      std::int64_t index, std::int64_t parts_count) {
  assert(count >= 0 && parts >= 1 && alignment >= 1);
  assert(index >= 0 && parts_count >= 0 && index + parts_count <= parts);
  if (parts == 1 && parts_count == 1) return {0, count};  // spares small messages four divisions
  const std::int64_t begin = begin_of(count, parts, alignment, index);
  return {begin, begin_of(count, parts, alignment, index + parts_count) - begin};
}

}  // namespace tutti::plan
