// Narrow floats exhaustively, and the values that tend to go wrong, by name.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "device/instruction_sets.h"
#include "device/reduce.h"
#include "device/reduce_reference.h"
#include "support/values.h"

namespace tutti::test {
namespace {

using device::Kernels;
using device::Store;

const Kernels& kernels_of(const InstructionSet& set, DataType type, ReduceOp op) {
  return set.table[static_cast<std::size_t>(type)][static_cast<std::size_t>(op)];
}

template <typename T>
Bytes bytes_of(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(Float16AndBfloat16, EveryValueSurvivesARoundTrip) {
  std::vector<std::uint16_t> values(65536);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint16_t>(i);
  const Bytes bytes = bytes_of(values);
  for (const InstructionSet& set : instruction_sets()) {
    for (const DataType type : {DataType::float16, DataType::bfloat16}) {
      const void* source = bytes.data();
      std::vector<std::uint16_t> result(values.size());
      kernels_of(set, type, ReduceOp::max)
          .reduce_many(result.data(), &source, 1, values.size(), 1, Store::cached);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto bits = static_cast<std::uint32_t>(i);
        const bool is_nan = std::isnan(decode_float(type, bits));
        const std::uint32_t expected = is_nan ? encode_float(type, NAN) : bits;
        ASSERT_EQ(result[i], expected) << name(type) << " on " << set.name;
      }
    }
  }
}

// Every value meets every operator with partners that are near it, equal to it, or arbitrary.
TEST(TwoByteTypes, EveryValueGivesTheReferenceBits) {
  std::mt19937_64 random(test_seed());
  std::vector<std::uint16_t> left;
  std::vector<std::uint16_t> right;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto arbitrary = static_cast<std::uint32_t>(random());
    for (const std::uint32_t partner :
         {bits, bits ^ 0x8000u, bits ^ 1u, bits - 0x0400u, bits ^ 0x8401u, arbitrary}) {
      left.push_back(static_cast<std::uint16_t>(bits));
      right.push_back(static_cast<std::uint16_t>(partner));
    }
  }
  const std::vector<Bytes> contents = {bytes_of(left), bytes_of(right)};
  const std::vector<InstructionSet> sets = instruction_sets();
  for (const DataType type :
       {DataType::float16, DataType::bfloat16, DataType::int16, DataType::uint16}) {
    for (const ReduceOp op : operators_of(type)) {
      const Bytes expected = reference_reduce(type, op, contents, Finish::final, 3);
      for (const InstructionSet& set : sets) {
        Bytes result(expected.size());
        kernels_of(set, type, op)
            .reduce_final(result.data(), contents[0].data(), contents[1].data(), left.size(), 3,
                          Store::cached);
        ASSERT_TRUE(result == expected) << name(type) << " " << name(op) << " on " << set.name;
      }
    }
  }
}

TEST(ByteTypes, EveryPairOfValuesGivesTheReferenceBits) {
  std::vector<std::uint8_t> left;
  std::vector<std::uint8_t> right;
  for (int pair = 0; pair < 65536; ++pair) {
    left.push_back(static_cast<std::uint8_t>(pair >> 8));
    right.push_back(static_cast<std::uint8_t>(pair));
  }
  const std::vector<Bytes> contents = {bytes_of(left), bytes_of(right)};
  const std::vector<InstructionSet> sets = instruction_sets();
  for (const DataType type :
       {DataType::float8_e4m3, DataType::float8_e5m2, DataType::int8, DataType::uint8}) {
    for (const ReduceOp op : operators_of(type)) {
      for (const int ranks : {1, 2, 3, 7, 16}) {
        const Bytes expected = reference_reduce(type, op, contents, Finish::final, ranks);
        for (const InstructionSet& set : sets) {
          Bytes result(expected.size());
          kernels_of(set, type, op)
              .reduce_final(result.data(), contents[0].data(), contents[1].data(), left.size(),
                            ranks, Store::cached);
          ASSERT_EQ(result, expected)
              << name(type) << " " << name(op) << " of " << ranks << " on " << set.name;
        }
      }
    }
  }
}

// Expectations written as bits, one at a time, independent of the reference.
template <typename T>
T reduced(const InstructionSet& set, DataType type, ReduceOp op, T a, T b, int ranks = 2) {
  T result{};
  kernels_of(set, type, op).reduce_final(&result, &a, &b, 1, ranks, Store::cached);
  return result;
}

TEST(Specials, NanWinsAndIsCanonical) {
  const auto inf = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
  const std::uint32_t one = 0x3f800000;
  const std::uint32_t nan = 0x7fc00000;
  const std::uint32_t payload = 0xffc01234;
  const std::uint32_t signalling = 0x7f800001;
  for (const InstructionSet& set : instruction_sets()) {
    for (const ReduceOp op : operators_of(DataType::float32)) {
      EXPECT_EQ(reduced(set, DataType::float32, op, payload, one), nan) << set.name << name(op);
      EXPECT_EQ(reduced(set, DataType::float32, op, one, payload), nan) << set.name << name(op);
      EXPECT_EQ(reduced(set, DataType::float32, op, signalling, inf), nan) << set.name << name(op);
    }
    EXPECT_EQ(reduced(set, DataType::float32, ReduceOp::sum, inf, inf ^ 0x80000000u), nan);
    EXPECT_EQ(reduced<std::uint32_t>(set, DataType::float32, ReduceOp::product, inf, 0), nan);
    EXPECT_EQ(reduced<std::uint32_t>(set, DataType::float32, ReduceOp::max, inf, one), inf);
    const std::uint8_t nan8 = 0xff;
    const std::uint8_t one8 = 0x38;
    EXPECT_EQ(reduced(set, DataType::float8_e4m3, ReduceOp::min, nan8, one8), 0x7f) << set.name;
  }
}

TEST(Specials, NegativeZeroOrdersBelowZero) {
  const std::uint32_t minus = 0x80000000;
  const std::uint32_t plus = 0;
  for (const InstructionSet& set : instruction_sets()) {
    EXPECT_EQ(reduced(set, DataType::float32, ReduceOp::min, plus, minus), minus) << set.name;
    EXPECT_EQ(reduced(set, DataType::float32, ReduceOp::min, minus, plus), minus) << set.name;
    EXPECT_EQ(reduced(set, DataType::float32, ReduceOp::max, plus, minus), plus) << set.name;
    EXPECT_EQ(reduced(set, DataType::float32, ReduceOp::max, minus, plus), plus) << set.name;
    EXPECT_EQ(reduced(set, DataType::float32, ReduceOp::sum, minus, minus), minus) << set.name;
    EXPECT_EQ(reduced(set, DataType::float32, ReduceOp::sum, minus, plus), plus) << set.name;
  }
}

TEST(Specials, SubnormalsAreKept) {
  for (const InstructionSet& set : instruction_sets()) {
    EXPECT_EQ(reduced<std::uint32_t>(set, DataType::float32, ReduceOp::sum, 1, 2), 3u) << set.name;
    EXPECT_EQ(reduced<std::uint64_t>(set, DataType::float64, ReduceOp::sum, 1, 2), 3u) << set.name;
    EXPECT_EQ(reduced<std::uint16_t>(set, DataType::float16, ReduceOp::sum, 1, 2), 3u) << set.name;
    EXPECT_EQ(reduced<std::uint16_t>(set, DataType::bfloat16, ReduceOp::sum, 1, 2), 3u) << set.name;
    EXPECT_EQ(reduced<std::uint8_t>(set, DataType::float8_e4m3, ReduceOp::sum, 1, 2), 3u);
    EXPECT_EQ(reduced<std::uint8_t>(set, DataType::float8_e5m2, ReduceOp::sum, 1, 2), 3u);
    // Half of the smallest subnormal is a tie, which goes to even: zero.
    EXPECT_EQ(reduced<std::uint16_t>(set, DataType::float16, ReduceOp::average, 0, 1), 0u);
  }
}

TEST(Specials, OverflowSaturatesOrBecomesInfinity) {
  const std::uint8_t largest_e4m3 = 0x7e;
  const std::uint8_t largest_e5m2 = 0x7b;
  const std::uint16_t largest_float16 = 0x7bff;
  const std::uint16_t largest_bfloat16 = 0x7f7f;
  for (const InstructionSet& set : instruction_sets()) {
    const auto doubled = [&](DataType type, auto value) {
      return reduced(set, type, ReduceOp::sum, value, value);
    };
    EXPECT_EQ(doubled(DataType::float8_e4m3, largest_e4m3), 0x7e) << set.name;
    EXPECT_EQ(doubled(DataType::float8_e4m3, std::uint8_t{0xfe}), 0xfe) << set.name;
    EXPECT_EQ(doubled(DataType::float8_e5m2, largest_e5m2), 0x7c) << set.name;
    EXPECT_EQ(doubled(DataType::float16, largest_float16), 0x7c00) << set.name;
    EXPECT_EQ(doubled(DataType::bfloat16, largest_bfloat16), 0x7f80) << set.name;
    EXPECT_EQ(doubled(DataType::int8, std::int8_t{127}), -2) << set.name;
    EXPECT_EQ(doubled(DataType::uint64, ~std::uint64_t{0}), ~std::uint64_t{1}) << set.name;
  }
}

TEST(Specials, IntegerAverageDividesTheWrappedSumTowardsZero) {
  const auto average = ReduceOp::average;
  for (const InstructionSet& set : instruction_sets()) {
    EXPECT_EQ(reduced<std::int32_t>(set, DataType::int32, average, -3, -4, 2), -3) << set.name;
    EXPECT_EQ(reduced<std::int32_t>(set, DataType::int32, average, 3, 4, 2), 3) << set.name;
    EXPECT_EQ(reduced<std::int8_t>(set, DataType::int8, average, 100, 100, 2), -28) << set.name;
    EXPECT_EQ(reduced<std::int8_t>(set, DataType::int8, average, -128, 0, 1), -128) << set.name;
    EXPECT_EQ(reduced<std::int64_t>(set, DataType::int64, average, INT64_MIN, 0, 3), INT64_MIN / 3);
    EXPECT_EQ(reduced<std::uint64_t>(set, DataType::uint64, average, UINT64_MAX, 0, 10),
              UINT64_MAX / 10);
  }
}

// Rounding to bfloat16 or float8 at each step would lose every small contribution.
TEST(Specials, ManySourcesAccumulateInFloat32) {
  const std::vector<std::uint16_t> contributions = {0x4380, 0x3f00, 0x3f00, 0x3f00, 0x3f00};
  std::vector<const void*> sources;
  for (const std::uint16_t& bits : contributions) sources.push_back(&bits);
  for (const InstructionSet& set : instruction_sets()) {
    std::uint16_t result = 0;
    kernels_of(set, DataType::bfloat16, ReduceOp::sum)
        .reduce_many(&result, sources.data(), 5, 1, 5, Store::cached);
    EXPECT_EQ(result, 0x4381) << set.name;  // 256 + 4 * 0.5 = 258
  }
}

}  // namespace
}  // namespace tutti::test
