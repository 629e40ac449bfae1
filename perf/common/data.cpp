#include "common/data.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "common/small_float.h"

namespace tutti::perf {
namespace {

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
std::uint64_t hash(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

struct Position {
  std::uint64_t index_hash;
  int rank;
  int ranks;
  std::uint64_t bits() const { return hash(index_hash + static_cast<std::uint64_t>(rank)); }
  // True for at most `limit` of the ranks, others at each index.
  bool among(int limit) const {
    const auto stride = static_cast<std::uint64_t>((ranks + limit - 1) / limit);
    return (index_hash % stride + static_cast<std::uint64_t>(rank)) % stride == 0;
  }
};

// A number other than 0 such that the magnitudes of all ranks add up to at most `limit`. With more
// ranks than that, as many as allowed give 1 and the others 0, by turns.
template <typename T>
T summand(const Position& at, std::uint64_t limit) {
  const std::uint64_t bits = at.bits();
  const std::uint64_t largest = limit / static_cast<std::uint64_t>(at.ranks);
  if (largest == 0 && !at.among(static_cast<int>(limit))) return T{0};
  const auto magnitude = static_cast<T>(largest == 0 ? 1 : 1 + (bits >> 1) % largest);
  return std::is_signed_v<T> && (bits & 1) ? static_cast<T>(-magnitude) : magnitude;
}

// What a rank adds to a reduction. Of a mulsum that is after the multiplication, and even, so that
// a factor of 2 divides it.
//
// Floats of any width are computed in double, where all of this is exact.
// The product of all ranks stays within 2^-6 and 2^6, the range of the narrowest type.
double float_value(const Position& at, Operator op, std::uint64_t exact_limit) {
  constexpr int kMaxExponent = 6;
  const std::uint64_t bits = at.bits();
  switch (op.op) {
    case ReduceOp::product: {
      const double magnitude = !at.among(kMaxExponent) ? 1.0 : bits & 2 ? 2.0 : 0.5;
      return bits & 1 ? -magnitude : magnitude;
    }
    case ReduceOp::min:
    case ReduceOp::max: {
      const auto magnitude = static_cast<double>(1 + (bits >> 1) % exact_limit);
      return bits & 1 ? -magnitude : magnitude;
    }
    default:
      break;
  }
  return op.premultiplied ? 2 * summand<double>(at, exact_limit / 2)
                          : summand<double>(at, exact_limit);
}

template <typename T>
T integer_value(const Position& at, Operator op) {
  const std::uint64_t bits = at.bits();
  if (op.op == ReduceOp::average) {  // must not wrap, or the quotient means nothing
    return summand<T>(at, static_cast<std::uint64_t>(std::numeric_limits<T>::max()));
  }
  // Even factors would soon make every product 0.
  if (op.op == ReduceOp::product) return static_cast<T>(bits | 1);
  return static_cast<T>(op.premultiplied ? 2 * bits : bits);
}

template <typename T>
T combine(T a, T b, ReduceOp op) {
  if (op == ReduceOp::min) return std::min(a, b);
  if (op == ReduceOp::max) return std::max(a, b);
  if constexpr (std::is_integral_v<T>) {  // without a sign, as that wraps by definition
    const auto x = static_cast<std::uint64_t>(a);
    const auto y = static_cast<std::uint64_t>(b);
    switch (op) {
      case ReduceOp::product:
        return static_cast<T>(x * y);
      case ReduceOp::bit_and:
        return static_cast<T>(x & y);
      case ReduceOp::bit_or:
        return static_cast<T>(x | y);
      case ReduceOp::bit_xor:
        return static_cast<T>(x ^ y);
      default:
        return static_cast<T>(x + y);
    }
  } else {
    return op == ReduceOp::product ? a * b : a + b;
  }
}

// One period of elements, each stored from value(position of rank 0 at that index).
template <typename Stored, typename Value>
Pattern tabulate(std::int64_t count, int ranks, Value value) {
  const auto elements =
      static_cast<std::size_t>(std::clamp<std::int64_t>(count, 1, kPatternPeriod));
  std::vector<std::byte> bytes(elements * sizeof(Stored));
  for (std::size_t i = 0; i < elements; ++i) {
    const Stored stored = value(Position{hash(i), 0, ranks});
    std::memcpy(bytes.data() + i * sizeof(Stored), &stored, sizeof(Stored));
  }
  return Pattern(sizeof(Stored), std::move(bytes));
}

// The contribution of the rank that has `place` among all, or the reduction of all when that is
// kEveryPlace.
constexpr int kEveryPlace = -1;
struct Series {
  Operator op;
  int place;
  int ranks;
  std::int64_t count;
  int factor = 1;  // by which the library multiplies the contribution

  bool everyone() const { return place == kEveryPlace; }
  bool divided() const { return everyone() && op == ReduceOp::average; }
};

template <typename Value>
auto reduce_at(Position at, const Series& series, Value value) {
  at.rank = std::max(series.place, 0);
  auto result = value(at);
  using Result = decltype(result);
  if (!series.everyone()) return static_cast<Result>(result / static_cast<Result>(series.factor));
  for (at.rank = 1; at.rank < at.ranks; ++at.rank) {
    result = combine(result, value(at), series.op.op);
  }
  return result;
}

template <typename T>
Pattern integers(const Series& series) {
  return tabulate<T>(series.count, series.ranks, [&](const Position& at) {
    const T value = reduce_at(at, series, [&](auto p) { return integer_value<T>(p, series.op); });
    if (!series.divided()) return value;
    // One division of the exact sum, towards zero; the quotient fits, as its dividend does.
    using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    return static_cast<T>(static_cast<Wide>(value) / static_cast<Wide>(series.ranks));
  });
}

// Work is the precision in which the library divides: float32 for narrower types.
template <typename Stored, typename Work, typename Encode>
Pattern floats(const Series& series, std::uint64_t exact_limit, Encode store) {
  return tabulate<Stored>(series.count, series.ranks, [&](const Position& at) {
    const auto value = static_cast<Work>(
        reduce_at(at, series, [&](auto p) { return float_value(p, series.op, exact_limit); }));
    return store(series.divided() ? value / static_cast<Work>(series.ranks) : value);
  });
}

template <typename Stored>
Pattern small_floats(FloatFormat format, const Series& series) {
  return floats<Stored, float>(
      series, std::uint64_t{2} << format.mantissa_bits,
      [format](float value) { return static_cast<Stored>(encode(value, format)); });
}

Pattern reduction(DataType type, const Series& series) {
  const auto same = [](auto value) { return value; };
  switch (type) {
    case DataType::float32:
      return floats<float, float>(series, 1u << 24, same);
    case DataType::float64:
      return floats<double, double>(series, std::uint64_t{1} << 53, same);
    case DataType::float16:
      return small_floats<std::uint16_t>(kFloat16, series);
    case DataType::bfloat16:
      return small_floats<std::uint16_t>(kBfloat16, series);
    case DataType::float8_e4m3:
      return small_floats<std::uint8_t>(kFloat8E4m3, series);
    case DataType::float8_e5m2:
      return small_floats<std::uint8_t>(kFloat8E5m2, series);
    case DataType::int8:
      return integers<std::int8_t>(series);
    case DataType::int16:
      return integers<std::int16_t>(series);
    case DataType::int32:
      return integers<std::int32_t>(series);
    case DataType::int64:
      return integers<std::int64_t>(series);
    case DataType::uint8:
      return integers<std::uint8_t>(series);
    case DataType::uint16:
      return integers<std::uint16_t>(series);
    case DataType::uint32:
      return integers<std::uint32_t>(series);
    case DataType::uint64:
      break;
  }
  return integers<std::uint64_t>(series);
}

}  // namespace

void Pattern::fill(std::span<std::byte> out) const {
  for (std::size_t at = 0; at < out.size(); at += period_.size()) {
    std::memcpy(out.data() + at, period_.data(), std::min(period_.size(), out.size() - at));
  }
}

std::int64_t Pattern::count_wrong(std::span<const std::byte> values) const {
  std::int64_t wrong = 0;
  for (std::size_t at = 0; at < values.size(); at += period_.size()) {
    const std::size_t block = std::min(period_.size(), values.size() - at);
    if (std::memcmp(values.data() + at, period_.data(), block) == 0) continue;
    for (std::size_t i = 0; i < block; i += element_bytes_) {
      wrong += std::memcmp(values.data() + at + i, period_.data() + i, element_bytes_) != 0;
    }
  }
  return wrong;
}

Pattern reduction_input(DataType type, Operator op, int rank, int ranks, std::int64_t count,
                        int block) {
  return reduction(type, {op, (rank + block) % ranks, ranks, count, op.factor(rank)});
}

Pattern reduction_result(DataType type, Operator op, int ranks, std::int64_t count) {
  return reduction(type, {op, kEveryPlace, ranks, count});
}

Pattern random_bits(DataType type, int rank, std::int64_t count) {
  // Unsigned sums are fed with unchanged random bits.
  const auto bits = [&](auto unsigned_type) {
    return integers<decltype(unsigned_type)>({ReduceOp::sum, rank, rank + 1, count});
  };
  switch (size_of(type)) {
    case 1:
      return bits(std::uint8_t{});
    case 2:
      return bits(std::uint16_t{});
    case 4:
      return bits(std::uint32_t{});
    default:
      return bits(std::uint64_t{});
  }
}

}  // namespace tutti::perf
