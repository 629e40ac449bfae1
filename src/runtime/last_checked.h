// Spares what is called over and over the checks that it passed: a third of the instructions of a
// short collective. (Two ranks, scatter of 8 bytes: 0.19 us and 0.14.)
//
// Lifetime: a communicator's. One thread at a time.
#pragma once

#include <cstdint>

#include "base/try.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class LastChecked {
 public:
  // As runtime::prepare().
  Status prepare(Operation& operation, int rank, int size) {
    // The lists of an uneven one are the caller's, and may have changed by the next call.
    if (operation.uneven) return runtime::prepare(operation, rank, size);
    const Asked asked(operation);
    if (is_known_ && asked == asked_) {
      operation.send = send_;
      operation.recv = recv_;
      operation.in_place = in_place_;
      return {};
    }
    is_known_ = false;
    TUTTI_TRY(runtime::prepare(operation, rank, size));
    is_known_ = true;
    asked_ = asked;
    send_ = operation.send;
    recv_ = operation.recv;
    in_place_ = operation.in_place;
    return {};
  }

 private:
  // All that is checked.
  struct Asked {
    Asked() = default;
    explicit Asked(const Operation& operation)
        : send(operation.send),
          recv(operation.recv),
          count(operation.count),
          root(operation.root),
          collective(operation.collective),
          type(operation.type),
          op(operation.reduction.op()),
          factor(operation.reduction.factor_kind()) {}
    bool operator==(const Asked&) const = default;

    const void* send = nullptr;
    const void* recv = nullptr;
    std::int64_t count = 0;
    int root = 0;
    Collective collective = Collective::barrier;
    DataType type = DataType::float32;
    ReduceOp op = ReduceOp::sum;
    Reduction::Factor factor = Reduction::Factor::none;
  };

  bool is_known_ = false;
  Asked asked_;
  // What prepare() made of it.
  const void* send_ = nullptr;
  void* recv_ = nullptr;
  bool in_place_ = false;
};

}  // namespace tutti::runtime
