// Hands out positions of a program's scratch memory, first fit. A value; cold.
#pragma once

#include <cstdint>
#include <vector>

namespace tutti::plan {

class ScratchSlots {
 public:
  // The first of `count` consecutive free positions.
  std::uint16_t allocate(std::uint32_t count);
  void free(std::uint16_t position);
  // One more than the highest position that was ever in use.
  std::uint32_t high_water() const { return static_cast<std::uint32_t>(used_.size()); }

 private:
  std::vector<char> used_;
  std::uint32_t lowest_ = 0;  // no position below it is free
};

}  // namespace tutti::plan
