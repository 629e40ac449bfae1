// One case of the generated matrix: a collective with known inputs, run by every rank and checked.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/communicator.h"

namespace tutti::test {

struct Case {
  Collective collective = Collective::all_reduce;
  std::int64_t count = 0;  // of one block; uneven: the largest block's
  DataType type = DataType::float32;
  ReduceOp op = ReduceOp::sum;
  int root = 0;
  bool in_place = false;
  bool uneven = false;         // the _v form, with blocks of 0 to `count` elements and gaps
  bool premultiplied = false;  // each rank's factor is 2; only with sum
};

std::string describe(const Case& one);

// The counts of the matrix: nothing, one, two, odd, and enough for several tiles on every lane.
inline constexpr std::int64_t kCounts[] = {0, 1, 2, 1027, 70'001};
// The same for one block of several.
inline constexpr std::int64_t kBlockCounts[] = {0, 1, 2, 259, 9'001};

// Runs the case on this rank. Empty when right, or what is wrong.
std::string run_case(Communicator& communicator, const Case& one);

}  // namespace tutti::test
