// One case of the generated matrix: a collective with known inputs, run by every rank and checked.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/communicator.h"

namespace tutti::test {

struct Case {
  std::int64_t count = 0;
  DataType type = DataType::float32;
  ReduceOp op = ReduceOp::sum;  // all_reduce
  int root = 0;                 // broadcast
  bool in_place = false;
};

// The counts of the matrix: nothing, one, two, odd, and enough for several tiles on every lane.
inline constexpr std::int64_t kCounts[] = {0, 1, 2, 1027, 70'001};

// Runs the case on this rank. Empty when right, or what is wrong.
std::string run_all_reduce(Communicator& communicator, const Case& one);
std::string run_broadcast(Communicator& communicator, const Case& one);

}  // namespace tutti::test
