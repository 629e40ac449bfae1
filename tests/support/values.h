// Inputs for which every order of reduction gives the same, exactly representable result, and the
// bit patterns of the narrow floats.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>

#include "tutti/types.h"

namespace tutti::test {

// TUTTI_TEST_SEED, or a fresh seed; printed either way.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("TUTTI_TEST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "TUTTI_TEST_SEED=" << seed << '\n';
  return seed;
}

// TUTTI_TEST_ONE_IN, or what the test usually draws: one of so many generated cases is run.
inline std::uint64_t test_one_in(std::uint64_t usual) {
  const char* given = std::getenv("TUTTI_TEST_ONE_IN");
  const std::uint64_t one_in = given != nullptr ? std::strtoull(given, nullptr, 10) : usual;
  std::cout << "TUTTI_TEST_ONE_IN=" << one_in << '\n';
  return one_in == 0 ? 1 : one_in;
}

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15u) * 0xbf58476d1ce4e5b9u;
  x ^= x >> 31;
  return x * 0x94d049bb133111ebu >> 7;
}

// All 64 bits arbitrary, where mix() leaves the uppermost zero.
inline std::uint64_t spread(std::uint64_t h) {
  return h * 0x9e3779b97f4a7c15u;
}

// Each bit is set in one of 16 cases.
inline std::uint64_t one_bit_in_16(std::uint64_t h) {
  const std::uint64_t bits = spread(h);
  return bits & std::rotl(bits, 13) & std::rotl(bits, 29) & std::rotl(bits, 47);
}

inline bool is_float8(DataType type) {
  return type == DataType::float8_e4m3 || type == DataType::float8_e5m2;
}

// What rank `rank` of `ranks` (at most 17) contributes as element i; bitwise operators take the
// low bits of it. Zero where the type does not support the operator.
inline std::int64_t contribution(DataType type, ReduceOp op, int rank, int ranks, std::int64_t i) {
  const std::uint64_t h = mix(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(rank));
  const bool narrow = type == DataType::float8_e5m2;  // three significant bits: integers up to 8
  if (!supports(type, op)) return 0;
  switch (op) {
    case ReduceOp::sum:
      if (rank >= (narrow ? 8 : 16)) return 0;  // any partial sum is at most 8, or 16
      return static_cast<std::int64_t>(h % 3) - 1;
    case ReduceOp::product:
      return (h % 2 == 0 ? 1 : -1) * (i % ranks == rank ? 2 : 1);
    case ReduceOp::average: {
      // Pairs of ranks cancel, so the average is `base`.
      const bool wide = !is_float8(type);
      const std::int64_t base = wide ? 1 + i % 2 : ranks <= 4 ? 1 : 0;
      const bool paired = (rank | 1) < ranks && (rank < 8 || wide);
      return base + (paired ? (rank % 2 == 0 ? 1 : -1) * (i % 2) : 0);
    }
    case ReduceOp::min:
    case ReduceOp::max:
      return static_cast<std::int64_t>(h % 8) - (type >= DataType::uint8 ? 0 : 4);
    case ReduceOp::bit_and:  // 15 of 16 bits set: a third of them survive 17 ranks
      return static_cast<std::int64_t>(~one_bit_in_16(h));
    case ReduceOp::bit_or:
      return static_cast<std::int64_t>(one_bit_in_16(h));
    case ReduceOp::bit_xor:
      return static_cast<std::int64_t>(spread(h));
  }
  return 0;
}

inline std::int64_t expected(DataType type, ReduceOp op, int ranks, std::int64_t i) {
  std::int64_t result = contribution(type, op, 0, ranks, i);
  for (int rank = 1; rank < ranks; ++rank) {
    const std::int64_t value = contribution(type, op, rank, ranks, i);
    switch (op) {
      case ReduceOp::sum:
      case ReduceOp::average:
        result += value;
        break;
      case ReduceOp::product:
        result *= value;
        break;
      case ReduceOp::min:
        result = result < value ? result : value;
        break;
      case ReduceOp::max:
        result = result > value ? result : value;
        break;
      case ReduceOp::bit_and:
        result &= value;
        break;
      case ReduceOp::bit_or:
        result |= value;
        break;
      case ReduceOp::bit_xor:
        result ^= value;
        break;
    }
  }
  return op == ReduceOp::average ? result / ranks : result;
}

// The bits of a small integer as a float with the given exponent and mantissa widths.
inline std::uint32_t narrow_bits(std::int64_t value, int exponent_bits, int mantissa_bits) {
  if (value == 0) return 0;
  const std::uint32_t sign = value < 0 ? 1 : 0;
  int exponent = 0;
  const double fraction = std::frexp(std::abs(static_cast<double>(value)), &exponent);
  const int biased = exponent - 1 + (1 << (exponent_bits - 1)) - 1;
  const auto mantissa = static_cast<std::uint32_t>(std::ldexp(fraction * 2 - 1, mantissa_bits));
  return sign << (exponent_bits + mantissa_bits) |
         static_cast<std::uint32_t>(biased) << mantissa_bits | mantissa;
}

// Writes `value` as an element of `type`.
inline void store(DataType type, std::int64_t value, std::byte* at) {
  const auto put = [at](auto element) { std::memcpy(at, &element, sizeof element); };
  switch (type) {
    case DataType::float32:
      return put(static_cast<float>(value));
    case DataType::float64:
      return put(static_cast<double>(value));
    case DataType::float16:
      return put(static_cast<std::uint16_t>(narrow_bits(value, 5, 10)));
    case DataType::bfloat16:
      return put(static_cast<std::uint16_t>(narrow_bits(value, 8, 7)));
    case DataType::float8_e4m3:
      return put(static_cast<std::uint8_t>(narrow_bits(value, 4, 3)));
    case DataType::float8_e5m2:
      return put(static_cast<std::uint8_t>(narrow_bits(value, 5, 2)));
    case DataType::int8:
    case DataType::uint8:
      return put(static_cast<std::uint8_t>(value));
    case DataType::int16:
    case DataType::uint16:
      return put(static_cast<std::uint16_t>(value));
    case DataType::int32:
    case DataType::uint32:
      return put(static_cast<std::uint32_t>(value));
    case DataType::int64:
    case DataType::uint64:
      return put(value);
  }
}

}  // namespace tutti::test
