// Spares what is called over and over the checks that it passed: a third of the instructions of a
// short collective. (Two ranks, scatter of 8 bytes: 0.19 us and 0.14.)
//
// Lifetime: a communicator's. One thread at a time.
#pragma once

#include "base/try.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class LastChecked {
 public:
  // As runtime::prepare().
  Status prepare(Operation& operation, int rank, int size) {
    if (is_known_ && repeats(operation)) {
      operation.send = prepared_.send;
      operation.recv = prepared_.recv;
      operation.in_place = prepared_.in_place;
      return {};
    }
    is_known_ = false;
    asked_ = operation;
    TUTTI_TRY(runtime::prepare(operation, rank, size));
    prepared_ = operation;
    // The lists of an uneven one are the caller's, and may have changed by the next call.
    is_known_ = !operation.uneven;
    return {};
  }

 private:
  // In all that is checked.
  bool repeats(const Operation& operation) const {
    return !operation.uneven && operation.collective == asked_.collective &&
           operation.send == asked_.send && operation.recv == asked_.recv &&
           operation.count == asked_.count && operation.type == asked_.type &&
           operation.reduction.op() == asked_.reduction.op() &&
           operation.reduction.factor_kind() == asked_.reduction.factor_kind() &&
           operation.root == asked_.root;
  }

  bool is_known_ = false;
  Operation asked_;
  Operation prepared_;
};

}  // namespace tutti::runtime
