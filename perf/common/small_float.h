// Encoding numbers in floating-point formats narrower than 32 bits. Pure.
//
// Written apart from the library's own conversions, so that a check does not repeat their mistakes.
#pragma once

#include <cstdint>

namespace tutti::perf {

struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;  // without the implicit leading one
};
inline constexpr FloatFormat kFloat16{5, 10};
inline constexpr FloatFormat kBfloat16{8, 7};
inline constexpr FloatFormat kFloat8E4m3{4, 3};
inline constexpr FloatFormat kFloat8E5m2{5, 2};

// The nearest value of the format, ties to even. REQUIRES: |value| is finite and in the range of
// the format's normal numbers or below it.
std::uint16_t encode(float value, FloatFormat format);

}  // namespace tutti::perf
