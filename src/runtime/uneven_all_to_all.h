// The uneven all-to-all of ranks that memory joins: sends and receives between pairs of ranks, and
// nothing where a block has no elements. Two ranks without blocks for each other do not wait for
// each other.
//
// Lifetime: a communicator's. One thread at a time. No allocation once it has run.
#pragma once

#include <cstddef>
#include <cstdint>
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
  // Of the running call: with others, and with itself.
  std::vector<Transfer> transfers_;
  std::byte* own_send_ = nullptr;
  std::byte* own_recv_ = nullptr;
  std::int64_t own_bytes_ = 0;
  std::int64_t received_bytes_ = 0;  // from all, of each no more than goes past the cache
};

}  // namespace tutti::runtime
