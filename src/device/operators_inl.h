// Reduction operators on vectors of lanes, for one instruction set.
//
// An operator combines two vectors and finishes the last one: only averages have something to
// finish. Results are the same bits on every instruction set. The build turns contraction off, so
// that no multiplication and addition merge into an FMA, which would round once instead of twice.
//
// Compiled once per instruction set: the guard toggles, as Highway's own per-target headers do.
#if defined(TUTTI_DEVICE_OPERATORS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TUTTI_DEVICE_OPERATORS_INL_H
#undef TUTTI_DEVICE_OPERATORS_INL_H
#else
#define TUTTI_DEVICE_OPERATORS_INL_H
#endif

#include <hwy/highway.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

struct NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> finish(D /*d*/, hn::Vec<D> v) const {
    return v;
  }
};

// Integers wrap, so signed ones use the unsigned kernels of Sum and Product.
struct Sum : NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> combine(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) const {
    return hn::Add(a, b);
  }
};

struct Product : NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> combine(D d, hn::Vec<D> a, hn::Vec<D> b) const {
    using T = hn::TFromD<D>;
    if constexpr (std::is_floating_point_v<T>) {
      return hn::Mul(a, b);
    } else if constexpr (hn::MaxLanes(D()) == 1) {
      const std::uint64_t product = std::uint64_t{hn::GetLane(a)} * hn::GetLane(b);
      return hn::Set(d, static_cast<T>(product));
    } else if constexpr (sizeof(T) == 1) {
      // No instruction set multiplies bytes: even and odd ones go through 16-bit lanes.
      const hn::RepartitionToWide<D> wide;
      const auto a16 = hn::BitCast(wide, a);
      const auto b16 = hn::BitCast(wide, b);
      const auto even = hn::And(hn::Mul(a16, b16), hn::Set(wide, std::uint16_t{0xff}));
      const auto odd = hn::ShiftLeft<8>(hn::Mul(hn::ShiftRight<8>(a16), hn::ShiftRight<8>(b16)));
      return hn::BitCast(d, hn::Or(even, odd));
    } else {
      return hn::Mul(a, b);
    }
  }
};

// Min and Max differ between instruction sets for NaN and for zeros of opposite sign. Here NaN wins
// and -0 < +0, as IEEE 754-2019 has it for minimum and maximum; both are then commutative.
struct Minimum : NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> combine(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) const {
    const auto least = hn::Min(a, b);
    if constexpr (std::is_floating_point_v<hn::TFromD<D>>) {
      const auto ordered = hn::IfThenElse(hn::Eq(a, b), hn::Or(a, b), least);
      return hn::IfThenElse(hn::IsNaN(a), a, hn::IfThenElse(hn::IsNaN(b), b, ordered));
    } else {
      return least;
    }
  }
};

struct Maximum : NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> combine(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) const {
    const auto greatest = hn::Max(a, b);
    if constexpr (std::is_floating_point_v<hn::TFromD<D>>) {
      const auto ordered = hn::IfThenElse(hn::Eq(a, b), hn::And(a, b), greatest);
      return hn::IfThenElse(hn::IsNaN(a), a, hn::IfThenElse(hn::IsNaN(b), b, ordered));
    } else {
      return greatest;
    }
  }
};

struct BitAnd : NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> combine(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) const {
    return hn::And(a, b);
  }
};

struct BitOr : NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> combine(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) const {
    return hn::Or(a, b);
  }
};

struct BitXor : NothingToFinish {
  template <class D>
  HWY_INLINE hn::Vec<D> combine(D /*d*/, hn::Vec<D> a, hn::Vec<D> b) const {
    return hn::Xor(a, b);
  }
};

// A division rounds correctly, and costs some ten cycles a vector.
template <typename Lane>
struct DividingAverage : Sum {
  explicit DividingAverage(int ranks) : ranks_(static_cast<Lane>(ranks)) {}
  template <class D>
  HWY_INLINE hn::Vec<D> finish(D d, hn::Vec<D> v) const {
    return hn::Div(v, hn::Set(d, ranks_));
  }

 private:
  Lane ranks_;
};

// The same bits when `ranks` is a power of two, whose inverse is exact.
template <typename Lane>
struct MultiplyingAverage : Sum {
  explicit MultiplyingAverage(int ranks) : inverse_(Lane{1} / static_cast<Lane>(ranks)) {}
  template <class D>
  HWY_INLINE hn::Vec<D> finish(D d, hn::Vec<D> v) const {
    return hn::Mul(v, hn::Set(d, inverse_));
  }

 private:
  Lane inverse_;
};

// The upper half of each product v * factor, for unsigned lanes.
template <class D>
HWY_INLINE hn::Vec<D> multiply_high(D d, hn::Vec<D> v, hn::TFromD<D> factor) {
  using T = hn::TFromD<D>;
  if constexpr (hn::MaxLanes(D()) == 1) {
    __extension__ using Wide = unsigned __int128;
    return hn::Set(d, static_cast<T>((Wide{hn::GetLane(v)} * factor) >> (8 * sizeof(T))));
  } else if constexpr (sizeof(T) == 1) {
    const hn::RepartitionToWide<D> wide;
    const auto factor16 = hn::Set(wide, std::uint16_t{factor});
    const auto v16 = hn::BitCast(wide, v);
    const auto low = hn::Set(wide, std::uint16_t{0xff});
    const auto even = hn::ShiftRight<8>(hn::Mul(hn::And(v16, low), factor16));
    const auto odd = hn::AndNot(low, hn::Mul(hn::ShiftRight<8>(v16), factor16));
    return hn::BitCast(d, hn::Or(even, odd));
  } else if constexpr (sizeof(T) == 2) {
    return hn::MulHigh(v, hn::Set(d, factor));
  } else if constexpr (sizeof(T) == 4) {
    const hn::RepartitionToWide<D> wide;
    const auto factor32 = hn::Set(d, factor);
    const auto odd_lanes = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, v)));
    const auto even = hn::ShiftRight<32>(hn::MulEven(v, factor32));
    const auto odd = hn::AndNot(hn::Set(wide, 0xffffffffu), hn::MulEven(odd_lanes, factor32));
    return hn::BitCast(d, hn::Or(even, odd));
  } else {
    // Four products of halves; `middle` cannot overflow: 2 (2^32 - 1) + (2^32 - 1)^2 = 2^64 - 1.
    const hn::Repartition<std::uint32_t, D> halves;
    const auto low = hn::Set(d, T{0xffffffff});
    const auto v_low = hn::BitCast(halves, v);
    const auto v_high = hn::BitCast(halves, hn::ShiftRight<32>(v));
    const auto f_low = hn::Set(halves, static_cast<std::uint32_t>(factor));
    const auto f_high = hn::Set(halves, static_cast<std::uint32_t>(factor >> 32));
    const auto high_low = hn::MulEven(v_high, f_low);
    const auto carry = hn::ShiftRight<32>(hn::MulEven(v_low, f_low));
    const auto middle = hn::Add(hn::Add(carry, hn::And(high_low, low)), hn::MulEven(v_low, f_high));
    const auto high = hn::Add(hn::MulEven(v_high, f_high), hn::ShiftRight<32>(high_low));
    return hn::Add(high, hn::ShiftRight<32>(middle));
  }
}

// Divides the wrapped sum, rounding towards zero, by multiplication with a precomputed inverse:
// Granlund and Montgomery, "Division by Invariant Integers using Multiplication" (PLDI 1994),
// figure 4.1. Signed lanes divide their magnitude.
template <typename Lane>
struct IntegerAverage : Sum {
  using Unsigned = std::make_unsigned_t<Lane>;
  static constexpr int kBits = std::numeric_limits<Unsigned>::digits;

  explicit IntegerAverage(int ranks) {
    const auto divisor = static_cast<std::uint32_t>(ranks);
    const int log = static_cast<int>(std::bit_width(divisor - 1));  // ceil(log2)
    if (log > kBits) {  // more ranks than any lane can count: zero
      multiplier_ = 0;
      shift1_ = 1;
      shift2_ = kBits - 1;
      return;
    }
    __extension__ using Wide = unsigned __int128;
    const Wide excess = (Wide{1} << log) - divisor;
    multiplier_ = static_cast<Unsigned>((excess << kBits) / divisor + 1);
    shift1_ = log == 0 ? 0 : 1;
    shift2_ = log == 0 ? 0 : log - 1;
  }

  template <class D>
  HWY_INLINE hn::Vec<D> finish(D d, hn::Vec<D> v) const {
    const hn::Rebind<Unsigned, D> du;
    if constexpr (std::is_signed_v<Lane>) {
      const auto sign = hn::BitCast(du, hn::VecFromMask(d, hn::Lt(v, hn::Zero(d))));
      const auto magnitude = hn::Sub(hn::Xor(hn::BitCast(du, v), sign), sign);
      return hn::BitCast(d, hn::Sub(hn::Xor(divide(du, magnitude), sign), sign));
    } else {
      return divide(du, v);
    }
  }

 private:
  template <class D>
  HWY_INLINE hn::Vec<D> divide(D d, hn::Vec<D> v) const {
    const auto high = multiply_high(d, v, multiplier_);
    const auto rest = hn::ShiftRightSame(hn::Sub(v, high), shift1_);
    return hn::ShiftRightSame(hn::Add(high, rest), shift2_);
  }

  Unsigned multiplier_;
  int shift1_;
  int shift2_;
};

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
