// Multiplying by a factor, for every type.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/scale.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cassert>
#include <cstdint>
#include <type_traits>

#include "device/formats_inl.h"
#include "device/kernel_table.h"
#include "device/loops_inl.h"
#include "device/operators_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

// factor * from[i].
template <class Format>
struct ScaledSource {
  using Stored = typename Format::Stored;

  template <class D>
  HWY_INLINE hn::Vec<StoredTag<Format, D>> at(D d, std::size_t i) const {
    const auto lanes = load_lanes<Format>(d, from + i);
    return Format::encode(d, Product().combine(d, lanes, hn::Set(d, factor)));
  }

  const Stored* from;
  typename Format::Lane factor;
};

template <typename Lane>
Lane factor_of(const Reduction& reduction) {
  if constexpr (std::is_floating_point_v<Lane>) {
    assert(reduction.factor_kind() == Reduction::Factor::floating);
    return static_cast<Lane>(reduction.floating_factor());
  } else {
    assert(reduction.factor_kind() == Reduction::Factor::integer);
    return static_cast<Lane>(reduction.integer_factor());
  }
}

template <class Format>
void scale_elements(void* dst, const void* src, std::size_t count, const Reduction& reduction) {
  const ScaledSource<Format> source{static_cast<const typename Format::Stored*>(src),
                                    factor_of<typename Format::Lane>(reduction)};
  write_results<Format>(dst, source, count, Store::cached);
}

// Products wrap, so signed integers share the kernel of the unsigned ones.
void fill_scale(ScaleTable& table) {
  const auto set = [&table](DataType type, ScaleFunction function) {
    table[static_cast<std::size_t>(type)] = function;
  };
  set(DataType::float32, scale_elements<PlainFormat<float>>);
  set(DataType::float64, scale_elements<PlainFormat<double>>);
  set(DataType::float16, scale_elements<Float16Format>);
  set(DataType::bfloat16, scale_elements<BFloat16Format>);
  set(DataType::float8_e4m3, scale_elements<Float8E4M3Format>);
  set(DataType::float8_e5m2, scale_elements<Float8E5M2Format>);
  for (const DataType type : {DataType::int8, DataType::uint8}) {
    set(type, scale_elements<PlainFormat<std::uint8_t>>);
  }
  for (const DataType type : {DataType::int16, DataType::uint16}) {
    set(type, scale_elements<PlainFormat<std::uint16_t>>);
  }
  for (const DataType type : {DataType::int32, DataType::uint32}) {
    set(type, scale_elements<PlainFormat<std::uint32_t>>);
  }
  for (const DataType type : {DataType::int64, DataType::uint64}) {
    set(type, scale_elements<PlainFormat<std::uint64_t>>);
  }
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tutti::device {

HWY_EXPORT(fill_scale);

ScaleTable resolve_scale() {
  ScaleTable table{};
  HWY_DYNAMIC_DISPATCH(fill_scale)(table);
  return table;
}

}  // namespace tutti::device
#endif
