// Element formats: how stored bits become lanes to compute with, and back, for one instruction set.
//
// A format has Stored (the element in memory), Lane (what operators see), kUnrolled (whether loops
// gain by taking four vectors at a time: not where converting is most of the work) and two pure
// functions: decode, which is exact, and encode, which rounds to nearest even. Formats narrower
// than 32 bits compute in float32. Every NaN is encoded as the one canonical quiet NaN: the payload
// that an addition hands on depends on the instruction and on operand order, and results must not.
//
// The conversions are written in integer arithmetic because Highway's differ between targets (its
// bfloat16 and, without F16C, its float16 truncate); F16C itself rounds as we want and is used.
//
// Compiled once per instruction set: the guard toggles, as Highway's own per-target headers do.
#if defined(TUTTI_DEVICE_FORMATS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TUTTI_DEVICE_FORMATS_INL_H
#undef TUTTI_DEVICE_FORMATS_INL_H
#else
#define TUTTI_DEVICE_FORMATS_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
using U32 = hn::Rebind<std::uint32_t, D>;
template <class D>
using U16 = hn::Rebind<std::uint16_t, D>;
template <class D>
using U8 = hn::Rebind<std::uint8_t, D>;

template <class D>
HWY_INLINE hn::Vec<D> with_canonical_nan(D d, hn::Vec<D> v) {
  const auto nan = hn::Set(d, std::numeric_limits<hn::TFromD<D>>::quiet_NaN());
  return hn::IfThenElse(hn::IsNaN(v), nan, v);
}

// float32, float64 and integers: lanes are the stored elements.
template <typename T>
struct PlainFormat {
  using Stored = T;
  using Lane = T;
  static constexpr bool kUnrolled = true;

  template <class D>
  static HWY_INLINE hn::Vec<D> decode(D /*d*/, hn::Vec<D> v) {
    return v;
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> encode(D d, hn::Vec<D> v) {
    if constexpr (std::is_floating_point_v<T>) {
      return with_canonical_nan(d, v);
    } else {
      return v;
    }
  }
};

// Rounds float32 to a smaller float with subnormals, in the low bits of each lane. NaN becomes
// garbage. Finite values beyond the largest, and infinity, become kOverflow.
// After F. Giesen, "float->half variants" (public domain), made general in the format.
template <int kMantissaBits, int kBias, std::uint32_t kOverflow, class D>
HWY_INLINE hn::Vec<U32<D>> round_to_small_float(D d, hn::Vec<D> v) {
  constexpr int kShift = 23 - kMantissaBits;
  constexpr int kWidth = 16 >> (kMantissaBits < 10 ? 1 : 0);
  // The smallest normal number of the small format, and a number whose last place is worth the
  // small format's smallest subnormal: adding it makes the FPU round a subnormal where we want.
  constexpr std::uint32_t kSmallestNormal = std::uint32_t{128 - kBias} << 23;
  constexpr std::uint32_t kSubnormalMagic = std::uint32_t{151 - kBias - kMantissaBits} << 23;
  constexpr std::uint32_t kRebias = std::uint32_t{127 - kBias} << 23;
  const U32<D> du;
  const auto bits = hn::BitCast(du, v);
  const auto sign = hn::And(bits, hn::Set(du, 0x80000000u));
  const auto magnitude = hn::Xor(bits, sign);

  const auto odd = hn::And(hn::ShiftRight<kShift>(magnitude), hn::Set(du, 1u));
  const auto half_minus_one = hn::Set(du, (1u << (kShift - 1)) - 1u - kRebias);
  const auto normal = hn::ShiftRight<kShift>(hn::Add(hn::Add(magnitude, half_minus_one), odd));

  const auto magic = hn::Set(du, kSubnormalMagic);
  const auto shifted = hn::Add(hn::BitCast(d, magnitude), hn::BitCast(d, magic));
  const auto subnormal = hn::Sub(hn::BitCast(du, shifted), magic);

  const auto is_subnormal =
      hn::Lt(hn::BitCast(d, magnitude), hn::BitCast(d, hn::Set(du, kSmallestNormal)));
  const auto rounded = hn::IfThenElse(hn::RebindMask(du, is_subnormal), subnormal, normal);
  return hn::Or(hn::Min(rounded, hn::Set(du, kOverflow)), hn::ShiftRight<32 - kWidth>(sign));
}

// F16C comes with AVX2; other targets convert with integers.
#if (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL) && \
    !defined(HWY_DISABLE_F16C)
inline constexpr bool kHasFloat16Conversion = true;
#else
inline constexpr bool kHasFloat16Conversion = false;
#endif

template <class D>
HWY_INLINE hn::Vec<D> float16_to_float32(D d, hn::Vec<U16<D>> v) {
  if constexpr (kHasFloat16Conversion) {
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), v));
  } else {
    const U32<D> du;
    constexpr std::uint32_t kRebias = 112u << 23;
    constexpr std::uint32_t kHidden = 1u << 23;
    const auto bits = hn::PromoteTo(du, v);
    const auto magnitude = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fffu)));
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
    const auto normal = hn::Add(magnitude, hn::Set(du, kRebias));
    // Infinity and NaN keep an exponent of all ones.
    const auto special = hn::Add(normal, hn::Set(du, kRebias));
    // A subnormal gets a hidden one, which the subtraction takes away again, exactly.
    const auto with_hidden = hn::BitCast(d, hn::Add(normal, hn::Set(du, kHidden)));
    const auto subnormal =
        hn::BitCast(du, hn::Sub(with_hidden, hn::BitCast(d, hn::Set(du, kRebias + kHidden))));
    const auto finite = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, kHidden)), subnormal, normal);
    const auto is_finite = hn::Lt(magnitude, hn::Set(du, 31u << 23));
    return hn::BitCast(d, hn::Or(hn::IfThenElse(is_finite, finite, special), sign));
  }
}

// IEEE 754 binary16.
struct Float16Format {
  using Stored = std::uint16_t;
  using Lane = float;
  static constexpr bool kUnrolled = true;

  template <class D>
  static HWY_INLINE hn::Vec<D> decode(D d, hn::Vec<U16<D>> v) {
    return float16_to_float32(d, v);
  }
  template <class D>
  static HWY_INLINE hn::Vec<U16<D>> encode(D d, hn::Vec<D> v) {
    if constexpr (kHasFloat16Conversion) {
      const hn::Rebind<hwy::float16_t, D> d16;
      return hn::BitCast(U16<D>(), hn::DemoteTo(d16, with_canonical_nan(d, v)));
    } else {
      const U32<D> du;
      const auto rounded = round_to_small_float<10, 15, 0x7c00>(d, v);
      const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
      return hn::TruncateTo(U16<D>(), hn::IfThenElse(is_nan, hn::Set(du, 0x7e00u), rounded));
    }
  }
};

// The upper half of a binary32.
struct BFloat16Format {
  using Stored = std::uint16_t;
  using Lane = float;
  static constexpr bool kUnrolled = true;

  template <class D>
  static HWY_INLINE hn::Vec<D> decode(D d, hn::Vec<U16<D>> v) {
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(U32<D>(), v)));
  }
  template <class D>
  static HWY_INLINE hn::Vec<U16<D>> encode(D /*d*/, hn::Vec<D> v) {
    const U32<D> du;
    const auto bits = hn::BitCast(du, v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(du, 0x7fffu)), odd));
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
    return hn::TruncateTo(U16<D>(), hn::IfThenElse(is_nan, hn::Set(du, 0x7fc0u), rounded));
  }
};

// OCP 8-bit float with infinities: the upper half of a binary16.
struct Float8E5M2Format {
  using Stored = std::uint8_t;
  using Lane = float;
  static constexpr bool kUnrolled = false;

  template <class D>
  static HWY_INLINE hn::Vec<D> decode(D d, hn::Vec<U8<D>> v) {
    return float16_to_float32(d, hn::ShiftLeft<8>(hn::PromoteTo(U16<D>(), v)));
  }
  template <class D>
  static HWY_INLINE hn::Vec<U8<D>> encode(D d, hn::Vec<D> v) {
    const U32<D> du;
    const auto rounded = round_to_small_float<2, 15, 0x7c>(d, v);
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
    return hn::TruncateTo(U8<D>(), hn::IfThenElse(is_nan, hn::Set(du, 0x7eu), rounded));
  }
};

// OCP 8-bit float without infinities. Overflow, infinity too, saturates to +-448; NaN is 0x7f.
struct Float8E4M3Format {
  using Stored = std::uint8_t;
  using Lane = float;
  static constexpr bool kUnrolled = false;

  template <class D>
  static HWY_INLINE hn::Vec<D> decode(D d, hn::Vec<U8<D>> v) {
    const U16<D> d16;
    const auto wide = hn::PromoteTo(d16, v);
    const auto magnitude = hn::And(wide, hn::Set(d16, std::uint16_t{0x7f}));
    const auto sign = hn::ShiftLeft<8>(hn::Xor(wide, magnitude));
    // The same digits as a binary16 are worth 2^-8 of their value, because its bias is 15, not 7.
    const auto digits = hn::Or(hn::ShiftLeft<7>(magnitude), sign);
    const auto is_nan = hn::Eq(magnitude, hn::Set(d16, std::uint16_t{0x7f}));
    const auto scaled = hn::IfThenElse(is_nan, hn::Set(d16, std::uint16_t{0x7e00}), digits);
    return hn::Mul(float16_to_float32(d, scaled), hn::Set(d, 256.0f));
  }
  template <class D>
  static HWY_INLINE hn::Vec<U8<D>> encode(D d, hn::Vec<D> v) {
    const U32<D> du;
    const auto rounded = round_to_small_float<3, 7, 0x7e>(d, v);
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
    return hn::TruncateTo(U8<D>(), hn::IfThenElse(is_nan, hn::Set(du, 0x7fu), rounded));
  }
};

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
