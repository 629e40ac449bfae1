#include "plan/scratch_slots.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace tutti::plan {

std::uint16_t ScratchSlots::allocate(std::uint32_t count) {
  const auto size = static_cast<std::uint32_t>(used_.size());
  while (lowest_ < size && used_[lowest_] != 0) ++lowest_;
  std::uint32_t begin = lowest_;
  for (std::uint32_t at = begin; at < size && at - begin < count; ++at) {
    if (used_[at] != 0) begin = at + 1;
  }
  used_.resize(std::max(size, begin + count), 0);
  std::fill_n(used_.begin() + begin, count, char{1});
  // A step has 16 bits for a position.
  assert(used_.size() <= std::size_t{std::numeric_limits<std::uint16_t>::max()} + 1);
  return static_cast<std::uint16_t>(begin);
}

void ScratchSlots::free(std::uint16_t position) {
  assert(used_[position] != 0);
  used_[position] = 0;
  lowest_ = std::min<std::uint32_t>(lowest_, position);
}

}  // namespace tutti::plan
