// One call of a collective, checked and numbered. A value that borrows the caller's buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "plan/program.h"
#include "tutti/communicator.h"
#include "tutti/types.h"

namespace tutti::runtime {

struct Operation {
  Collective collective = Collective::all_reduce;
  const void* send = nullptr;
  void* recv = nullptr;
  std::int64_t count = 0;
  DataType type = DataType::float32;
  ReduceOp op = ReduceOp::sum;  // all_reduce only
  int root = 0;                 // broadcast only
  bool barrier = false;         // an all_reduce whose values do not matter
  std::uint64_t sequence = 0;   // 1 for the communicator's first operation

  std::int64_t bytes() const { return count * static_cast<std::int64_t>(size_of(type)); }
  bool in_place() const { return send == recv; }
};

// "all_reduce(float32, 1024, sum)", "broadcast(int8, 16, root 2)"
std::string describe(const Operation& operation);

// Is `operation` something that `size` ranks can do? invalid_argument names the argument and its
// value. `rank` is the caller's: only the root of a broadcast reads `send`.
Status check(const Operation& operation, int rank, int size);

// What the operation asks of a plan.
plan::Shape shape_of(const Operation& operation, int size);

}  // namespace tutti::runtime
