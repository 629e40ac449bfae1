// What -o names: an operator of the library, or "mulsum", the sum in which every rank's
// contribution has a factor of its own. A plain value.
#pragma once

#include "tutti/types.h"

namespace tutti::perf {

struct Operator {
  Operator(ReduceOp reduce_op) noexcept  // NOLINT(google-explicit-constructor)
      : op(reduce_op) {}
  static Operator mulsum() noexcept {
    Operator result(ReduceOp::sum);
    result.premultiplied = true;
    return result;
  }
  friend bool operator==(const Operator&, const Operator&) = default;

  // What `rank` passes to the library.
  Reduction reduction(int rank, DataType type) const noexcept {
    if (!premultiplied) return op;
    const bool integer = supports(type, ReduceOp::bit_and);
    return integer ? Reduction::premultiplied_sum(factor(rank))
                   : Reduction::premultiplied_sum(static_cast<double>(factor(rank)));
  }
  // A power of two, so that a product has as many digits as the contribution.
  int factor(int rank) const noexcept { return premultiplied ? 1 + rank % 2 : 1; }

  ReduceOp op;
  bool premultiplied = false;
};

}  // namespace tutti::perf
