#include "device/reduce_reference.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tutti::test {
namespace {

// How a float of up to 32 bits is laid out.
struct Layout {
  int mantissa_bits;
  int bias;
  double largest;
  bool has_infinity;
  std::uint32_t nan;
  std::uint32_t sign;
};

Layout layout_of(DataType type) {
  switch (type) {
    case DataType::float16:
      return {10, 15, 65504, true, 0x7e00, 0x8000};
    case DataType::bfloat16:
      return {7, 127, 0x1.fep127, true, 0x7fc0, 0x8000};
    case DataType::float8_e4m3:
      return {3, 7, 448, false, 0x7f, 0x80};
    case DataType::float8_e5m2:
      return {2, 15, 57344, true, 0x7e, 0x80};
    default:
      return {23, 127, std::numeric_limits<float>::max(), true, 0x7fc00000, 0x80000000};
  }
}

template <typename T>
T read(const Bytes& bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

// IEEE 754-2019 minimum or maximum: NaN wins, -0 < +0.
double extreme(double a, double b, bool smaller) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  if (a == b) return std::signbit(a) == smaller ? a : b;
  return (a < b) == smaller ? a : b;
}

double combine(ReduceOp op, double a, double b) {
  switch (op) {
    case ReduceOp::product:
      return a * b;
    case ReduceOp::min:
      return extreme(a, b, true);
    case ReduceOp::max:
      return extreme(a, b, false);
    default:
      return a + b;
  }
}

// Floats of up to 32 bits compute in float32 and round once at the end.
std::uint32_t reduce_float(DataType type, ReduceOp op, std::span<const std::uint32_t> elements,
                           int ranks) {
  float sum = static_cast<float>(decode_float(type, elements[0]));
  for (const std::uint32_t element : elements.subspan(1)) {
    sum = static_cast<float>(combine(op, sum, decode_float(type, element)));
  }
  if (ranks > 0 && op == ReduceOp::average) {
    sum = static_cast<float>(static_cast<double>(sum) / static_cast<float>(ranks));
  }
  return encode_float(type, sum);
}

template <typename T>
T reduce_integer(ReduceOp op, std::span<const T> elements, int ranks) {
  T result = elements[0];
  for (const T element : elements.subspan(1)) {
    __extension__ using Wide = __int128;
    const Wide a = result;
    const Wide b = element;
    switch (op) {
      case ReduceOp::product:
        // Modulo 2^64 first: the product of two uint64 can exceed a signed 128-bit number.
        result = static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
        break;
      case ReduceOp::min:
        result = static_cast<T>(a < b ? a : b);
        break;
      case ReduceOp::max:
        result = static_cast<T>(a > b ? a : b);
        break;
      case ReduceOp::bit_and:
        result = static_cast<T>(a & b);
        break;
      case ReduceOp::bit_or:
        result = static_cast<T>(a | b);
        break;
      case ReduceOp::bit_xor:
        result = static_cast<T>(a ^ b);
        break;
      default:
        result = static_cast<T>(a + b);
    }
  }
  __extension__ using Wide = __int128;
  const bool divides = ranks > 0 && op == ReduceOp::average;
  return divides ? static_cast<T>(Wide{result} / ranks) : result;
}

double reduce_double(ReduceOp op, std::span<const double> elements, int ranks) {
  double sum = elements[0];
  for (const double element : elements.subspan(1)) sum = combine(op, sum, element);
  if (ranks > 0 && op == ReduceOp::average) sum /= ranks;
  return std::isnan(sum) ? std::numeric_limits<double>::quiet_NaN() : sum;
}

// Applies `reduce` to the elements of each position, read as T.
template <typename T, typename Reduce>
Bytes for_each_position(std::span<const Bytes> sources, Reduce reduce) {
  Bytes result(sources[0].size());
  std::vector<T> elements(sources.size());
  for (std::size_t i = 0; i < result.size() / sizeof(T); ++i) {
    for (std::size_t k = 0; k < sources.size(); ++k) elements[k] = read<T>(sources[k], i);
    const T value = reduce(std::span<const T>(elements));
    std::memcpy(result.data() + i * sizeof(T), &value, sizeof(T));
  }
  return result;
}

template <typename T>
Bytes reduce_integers(ReduceOp op, std::span<const Bytes> sources, int ranks) {
  return for_each_position<T>(
      sources, [&](std::span<const T> elements) { return reduce_integer<T>(op, elements, ranks); });
}

// T holds the bits of one element.
template <typename T>
Bytes reduce_floats(DataType type, ReduceOp op, std::span<const Bytes> sources, int ranks) {
  return for_each_position<T>(sources, [&](std::span<const T> elements) {
    const std::vector<std::uint32_t> bits(elements.begin(), elements.end());
    return static_cast<T>(reduce_float(type, op, bits, ranks));
  });
}

}  // namespace

double decode_float(DataType type, std::uint32_t bits) {
  const Layout layout = layout_of(type);
  const std::uint32_t magnitude = bits & (layout.sign - 1);
  const auto mantissa = magnitude & ((1u << layout.mantissa_bits) - 1);
  const int exponent = static_cast<int>(magnitude >> layout.mantissa_bits);
  const bool all_ones =
      magnitude >> layout.mantissa_bits == (layout.sign - 1) >> layout.mantissa_bits;
  double value = 0;
  if (layout.has_infinity && all_ones) {
    value = mantissa == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  } else if (!layout.has_infinity && magnitude == layout.nan) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    const double hidden = exponent == 0 ? 0 : std::ldexp(1.0, layout.mantissa_bits);
    value = std::ldexp(hidden + mantissa,
                       (exponent == 0 ? 1 : exponent) - layout.bias - layout.mantissa_bits);
  }
  return (bits & layout.sign) != 0 ? -value : value;
}

std::uint32_t encode_float(DataType type, double value) {
  const Layout layout = layout_of(type);
  if (std::isnan(value)) return layout.nan;
  const std::uint32_t sign = std::signbit(value) ? layout.sign : 0;
  double magnitude = std::abs(value);
  const int lowest = 1 - layout.bias;
  if (magnitude == 0) return sign;
  if (std::isfinite(magnitude)) {
    const int exponent = std::max(std::ilogb(magnitude), lowest);
    const double place = std::ldexp(1.0, exponent - layout.mantissa_bits);
    magnitude = std::nearbyint(magnitude / place) * place;
  }
  if (magnitude > layout.largest) {
    const std::uint32_t infinity = (layout.sign - 1) >> layout.mantissa_bits
                                                            << layout.mantissa_bits;
    return sign | (layout.has_infinity ? infinity : encode_float(type, layout.largest));
  }
  if (magnitude < std::ldexp(1.0, lowest)) {
    return sign | static_cast<std::uint32_t>(std::ldexp(magnitude, layout.mantissa_bits - lowest));
  }
  const int exponent = std::ilogb(magnitude);
  const auto significand =
      static_cast<std::uint32_t>(std::ldexp(magnitude, layout.mantissa_bits - exponent));
  const auto biased = static_cast<std::uint32_t>(exponent + layout.bias);
  return sign | ((biased << layout.mantissa_bits) + significand - (1u << layout.mantissa_bits));
}

Bytes reference_reduce(DataType type, ReduceOp op, std::span<const Bytes> sources, Finish finish,
                       int ranks) {
  const int divisor = finish == Finish::final ? ranks : 0;
  switch (type) {
    case DataType::float32:
      return reduce_floats<std::uint32_t>(type, op, sources, divisor);
    case DataType::float16:
    case DataType::bfloat16:
      return reduce_floats<std::uint16_t>(type, op, sources, divisor);
    case DataType::float8_e4m3:
    case DataType::float8_e5m2:
      return reduce_floats<std::uint8_t>(type, op, sources, divisor);
    case DataType::float64:
      return for_each_position<double>(
          sources, [&](std::span<const double> x) { return reduce_double(op, x, divisor); });
    case DataType::int8:
      return reduce_integers<std::int8_t>(op, sources, divisor);
    case DataType::int16:
      return reduce_integers<std::int16_t>(op, sources, divisor);
    case DataType::int32:
      return reduce_integers<std::int32_t>(op, sources, divisor);
    case DataType::int64:
      return reduce_integers<std::int64_t>(op, sources, divisor);
    case DataType::uint8:
      return reduce_integers<std::uint8_t>(op, sources, divisor);
    case DataType::uint16:
      return reduce_integers<std::uint16_t>(op, sources, divisor);
    case DataType::uint32:
      return reduce_integers<std::uint32_t>(op, sources, divisor);
    case DataType::uint64:
      return reduce_integers<std::uint64_t>(op, sources, divisor);
  }
  return {};
}

Bytes reference_scale(DataType type, const Bytes& source, const Reduction& reduction) {
  Bytes result(source.size());
  const std::size_t size = size_of(type);
  for (std::size_t at = 0; at < source.size(); at += size) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, source.data() + at, size);
    if (reduction.factor_kind() == Reduction::Factor::integer) {
      bits *=
          static_cast<std::uint64_t>(reduction.integer_factor());  // the low bits are the result
    } else if (type == DataType::float64) {
      const double product = reduction.floating_factor() * std::bit_cast<double>(bits);
      bits = std::bit_cast<std::uint64_t>(
          std::isnan(product) ? std::numeric_limits<double>::quiet_NaN() : product);
    } else {
      // The float64 product of two float32 numbers is exact.
      const auto factor = static_cast<float>(reduction.floating_factor());
      const double value = decode_float(type, static_cast<std::uint32_t>(bits));
      bits = encode_float(type, static_cast<float>(factor * value));
    }
    std::memcpy(result.data() + at, &bits, size);
  }
  return result;
}

Bytes random_elements(DataType type, std::size_t count, std::mt19937_64& random) {
  const std::size_t size = size_of(type);
  Bytes bytes(count * size);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t bits = random();
    const std::uint64_t kind = random() % 8;
    const bool is_float = type < DataType::int8;
    // Small integers and, of the floats, numbers near one: sums that do not just pick the larger.
    const double near_one = std::ldexp(static_cast<double>(bits % 4096) - 2048, -11);
    if (kind < 4 && type == DataType::float64) bits = std::bit_cast<std::uint64_t>(near_one);
    if (kind < 4 && is_float && size < 8) bits = encode_float(type, near_one);
    if (kind < 3 && !is_float) bits = bits % 64 - 32;
    // All zeros, all ones, only the sign, all but the sign: zeros, NaNs, extreme integers.
    const std::uint64_t sign = std::uint64_t{1} << (8 * size - 1);
    const std::uint64_t extremes[] = {0, ~std::uint64_t{0}, sign, sign - 1};
    if (kind == 7 && bits % 4 == 0) bits = extremes[bits / 4 % 4];
    std::memcpy(bytes.data() + i * size, &bits, size);
  }
  return bytes;
}

std::vector<DataType> all_types() {
  std::vector<DataType> types;
  for (int type = 0; type < kDataTypeCount; ++type) types.push_back(static_cast<DataType>(type));
  return types;
}

std::vector<ReduceOp> operators_of(DataType type) {
  std::vector<ReduceOp> operators;
  for (int op = 0; op < kReduceOpCount; ++op) {
    if (supports(type, static_cast<ReduceOp>(op))) operators.push_back(static_cast<ReduceOp>(op));
  }
  return operators;
}

}  // namespace tutti::test
