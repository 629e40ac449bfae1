#include "common/small_float.h"

#include <algorithm>
#include <cmath>

namespace tutti::perf {

std::uint16_t encode(float value, FloatFormat format) {
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int one = 1 << format.mantissa_bits;  // the weight of the implicit leading one
  const int sign = std::signbit(value) ? one << format.exponent_bits : 0;
  if (value == 0) return static_cast<std::uint16_t>(sign);
  // Below the smallest normal exponent the spacing of values no longer shrinks: subnormal numbers.
  int exponent = std::max(std::ilogb(value), 1 - bias);
  // Exact: scaling by a power of two in double. Then the default mode rounds half to even.
  int mantissa = static_cast<int>(std::nearbyint(
      std::ldexp(std::fabs(static_cast<double>(value)), format.mantissa_bits - exponent)));
  if (mantissa == 2 * one) {
    mantissa = one;
    ++exponent;
  }
  const int code =
      mantissa < one ? mantissa : ((exponent + bias) << format.mantissa_bits) + (mantissa - one);
  return static_cast<std::uint16_t>(sign | code);
}

}  // namespace tutti::perf
