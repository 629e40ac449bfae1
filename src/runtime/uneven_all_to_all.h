// The uneven all-to-all of ranks that share a node: sends and receives between pairs of ranks, and
// nothing where a block has no elements. Nobody waits for a rank that sends it nothing.
//
// Lifetime: a communicator's. One thread at a time. No allocation once it has run.
#pragma once

#include <vector>

#include "runtime/call.h"
#include "runtime/crew.h"
#include "runtime/operation.h"
#include "runtime/point_to_point.h"
#include "runtime/transfer.h"
#include "tutti/status.h"

namespace tutti::runtime {

class UnevenAllToAll {
 public:
  UnevenAllToAll(PointToPoint& pairs, Crew& crew, int rank, int ranks)
      : pairs_(pairs), crew_(crew), rank_(rank), ranks_(ranks) {}

  // REQUIRES: has_pair_counts(call).
  Status run(const Operation& operation, const Call& call);

 private:
  void list_transfers(const Operation& operation);

  PointToPoint& pairs_;
  Crew& crew_;
  int rank_;
  int ranks_;
  std::vector<Transfer> transfers_;
};

}  // namespace tutti::runtime
