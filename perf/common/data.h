// Test data whose reduction is exact in any order, and what it must come to.
//
// Floating-point inputs are small integers (or powers of two, for products) chosen so that every
// partial result, in whatever order, is representable in the type; so one bit of difference is an
// error, and no tolerance hides one. Integers wrap around, which is exact anyway.
//
// A pattern repeats after a prime number of elements. Chunk and tile boundaries fall on multiples
// of powers of two, so a block that lands in the wrong place meets other values; and filling or
// checking a message is a memory copy or comparison, however many ranks there are.
//
// Plain values; const members are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/operator.h"
#include "tutti/types.h"

namespace tutti::perf {

inline constexpr std::int64_t kPatternPeriod = 65'521;

class Pattern {
 public:
  Pattern(std::size_t element_bytes, std::vector<std::byte> one_period)
      : element_bytes_(element_bytes), period_(std::move(one_period)) {}

  // Writes the pattern from its start.
  void fill(std::span<std::byte> out) const;
  // Elements of `values` that are not bitwise as fill() writes them.
  std::int64_t count_wrong(std::span<const std::byte> values) const;

 private:
  std::size_t element_bytes_;
  std::vector<std::byte> period_;
};

// What `rank` contributes to a reduction over `ranks`. Of several blocks, which are reduced each
// for itself, every one has the same result, but a rank contributes something else to each.
Pattern reduction_input(DataType type, Operator op, int rank, int ranks, std::int64_t count,
                        int block = 0);
// The reduction of all of them.
Pattern reduction_result(DataType type, Operator op, int ranks, std::int64_t count);
// Random bits that differ from rank to rank, for collectives that only copy.
Pattern random_bits(DataType type, int rank, std::int64_t count);

}  // namespace tutti::perf
