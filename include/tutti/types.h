// Element types, reduction operators and collectives, their names and sizes. Plain values;
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tutti/status.h"

namespace tutti {

// Types of elements.
enum class DataType : std::uint8_t {
  float32,
  float64,
  float16,      // IEEE 754 binary16
  bfloat16,     // the upper half of a binary32
  float8_e4m3,  // OCP 8-bit float, finite: no infinity, NaN is 0x7f and 0xff, largest 448
  float8_e5m2,  // OCP 8-bit float with infinities, largest finite 57344
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
};
// How many there are.
inline constexpr int kDataTypeCount = 14;

// Integers wrap on overflow. A NaN in any input of min or max gives NaN. Floats narrower than 32
// bits are combined in float32 and rounded once per step, to nearest even; float8_e4m3 saturates.
enum class ReduceOp : std::uint8_t {
  sum,
  product,
  min,
  max,
  average,  // the sum over the ranks divided by their number; integers round towards zero
  bit_and,  // integers only
  bit_or,   // integers only
  bit_xor,  // integers only
};
// How many there are.
inline constexpr int kReduceOpCount = 8;

// How contributions are combined: an operator, and for the sum optionally a factor of this rank's
// contribution ("pre-multiplied sum"). An operator converts to a Reduction by itself.
class Reduction {
 public:
  // The operator alone.
  Reduction(ReduceOp op = ReduceOp::sum) noexcept
      : op_(op) {}  // NOLINT(google-explicit-constructor)

  // The sum over the ranks of factor * contribution; each rank may pass its own factor. Each
  // product rounds once to the element type (float types) or wraps (integers); the sum is then that
  // of ReduceOp::sum. An integer factor is for integer types, a floating-point one for float types;
  // anything else is invalid_argument.
  static Reduction premultiplied_sum(double factor) noexcept {
    Reduction reduction;
    reduction.factor_kind_ = Factor::floating;
    reduction.floating_ = factor;
    return reduction;
  }
  static Reduction premultiplied_sum(std::int64_t factor) noexcept {
    Reduction reduction;
    reduction.factor_kind_ = Factor::integer;
    reduction.integer_ = factor;
    return reduction;
  }
  static Reduction premultiplied_sum(int factor) noexcept {
    return premultiplied_sum(std::int64_t{factor});
  }

  // The operator; and whether, and how, a contribution is multiplied before.
  ReduceOp op() const noexcept { return op_; }
  enum class Factor : std::uint8_t { none, floating, integer };
  Factor factor_kind() const noexcept { return factor_kind_; }
  // REQUIRES: factor_kind() is the one of the name. Integers that do not fit wrap.
  double floating_factor() const noexcept { return floating_; }
  std::int64_t integer_factor() const noexcept { return integer_; }

 private:
  ReduceOp op_;
  Factor factor_kind_ = Factor::none;
  union {
    double floating_ = 0;
    std::int64_t integer_;
  };
};

// Does the operator mean anything for the type? Bitwise operators do for integers only.
constexpr bool supports(DataType type, ReduceOp op) noexcept {
  // Enumerators of floats come before those of integers, and bitwise operators come last.
  return op < ReduceOp::bit_and || type >= DataType::int8;
}

// Kinds of collectives.
enum class Collective : std::uint8_t {
  all_reduce,
  broadcast,
  reduce,
  all_gather,
  reduce_scatter,
  all_to_all,
  gather,
  scatter,
  barrier,
};
// How many there are.
inline constexpr int kCollectiveCount = 9;

// Size of one element in bytes: 1, 2, 4 or 8. REQUIRES: a valid enumerator.
constexpr std::size_t size_of(DataType type) noexcept {
  constexpr std::uint8_t kBytes[kDataTypeCount] = {4, 8, 2, 2, 1, 1, 1, 2, 4, 8, 1, 2, 4, 8};
  return kBytes[static_cast<std::size_t>(type)];
}

// "float32", "sum". "invalid" for a value that is no enumerator.
TUTTI_API std::string_view name(DataType type) noexcept;
TUTTI_API std::string_view name(ReduceOp op) noexcept;
TUTTI_API std::string_view name(Collective collective) noexcept;

// The inverse of name(); nccl-tests' names ("float", "half", "prod", "avg", "fp8_e4m3") are
// accepted too. An unknown name is invalid_argument and lists the known ones.
TUTTI_API Result<DataType> parse_data_type(std::string_view text);
TUTTI_API Result<ReduceOp> parse_reduce_op(std::string_view text);

}  // namespace tutti
