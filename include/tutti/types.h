// Element types and reduction operators, their names and sizes. Plain values; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tutti/status.h"

namespace tutti {

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
inline constexpr int kDataTypeCount = 14;

// Integers wrap on overflow. A NaN in any input of min or max gives NaN. Floats narrower than 32
// bits are combined in float32 and rounded once per step, to nearest even; float8_e4m3 saturates.
enum class ReduceOp : std::uint8_t {
  sum,
  product,
  min,
  max,
  average,  // the sum over the ranks divided by their number; integers round towards zero
};
inline constexpr int kReduceOpCount = 5;

// Size of one element in bytes: 1, 2, 4 or 8. REQUIRES: a valid enumerator.
TUTTI_API std::size_t size_of(DataType type) noexcept;

// "float32", "sum". "invalid" for a value that is no enumerator.
TUTTI_API std::string_view name(DataType type) noexcept;
TUTTI_API std::string_view name(ReduceOp op) noexcept;

// The inverse of name(); nccl-tests' names ("float", "half", "prod", "avg", "fp8_e4m3") are
// accepted too. An unknown name is invalid_argument and lists the known ones.
TUTTI_API Result<DataType> parse_data_type(std::string_view text);
TUTTI_API Result<ReduceOp> parse_reduce_op(std::string_view text);

}  // namespace tutti
