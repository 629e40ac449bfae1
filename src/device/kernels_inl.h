// The kernels of one format: its row of the kernel table, for one instruction set.
//
// Compiled once per instruction set: the guard toggles, as Highway's own per-target headers do.
#if defined(TUTTI_DEVICE_KERNELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TUTTI_DEVICE_KERNELS_INL_H
#undef TUTTI_DEVICE_KERNELS_INL_H
#else
#define TUTTI_DEVICE_KERNELS_INL_H
#endif

#include <hwy/highway.h>

#include <bit>
#include <cassert>
#include <cstddef>
#include <type_traits>

#include "device/formats_inl.h"
#include "device/kernel_table.h"
#include "device/loops_inl.h"
#include "device/operators_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

template <class Format, class Operator>
void reduce_two(void* dst, const void* a, const void* b, std::size_t count, Operator op,
                Store store) {
  using Stored = typename Format::Stored;
  const TwoSources<Format, Operator> sources{static_cast<const Stored*>(a),
                                             static_cast<const Stored*>(b), op};
  write_results<Format>(dst, sources, count, store);
}

template <class Format, class Operator>
void reduce_list(void* dst, const void* const* sources, int source_count, std::size_t count,
                 Operator op, Store store) {
  assert(source_count >= 1);
  if (source_count == 2) {
    return reduce_two<Format>(dst, sources[0], sources[1], count, op, store);
  }
  write_results<Format>(dst, ManySources<Format, Operator>{sources, source_count, op}, count,
                        store);
}

// All but the average: nothing depends on the number of ranks.
template <class Format, class Operator>
struct SimpleKernels {
  static void reduce(void* dst, const void* a, const void* b, std::size_t count, Store store) {
    reduce_two<Format>(dst, a, b, count, Operator(), store);
  }
  static void reduce_final(void* dst, const void* a, const void* b, std::size_t count,
                           int /*ranks*/, Store store) {
    reduce_two<Format>(dst, a, b, count, Operator(), store);
  }
  static void reduce_many(void* dst, const void* const* sources, int source_count,
                          std::size_t count, int /*ranks*/, Store store) {
    reduce_list<Format>(dst, sources, source_count, count, Operator(), store);
  }
  static constexpr Kernels kKernels = {reduce, reduce_final, reduce_many};
};

template <class Format>
struct AverageKernels {
  using Lane = typename Format::Lane;

  static void reduce_final(void* dst, const void* a, const void* b, std::size_t count, int ranks,
                           Store store) {
    assert(ranks >= 1);
    if constexpr (!std::is_floating_point_v<Lane>) {
      reduce_two<Format>(dst, a, b, count, IntegerAverage<Lane>(ranks), store);
    } else if (std::has_single_bit(static_cast<unsigned>(ranks))) {
      reduce_two<Format>(dst, a, b, count, MultiplyingAverage<Lane>(ranks), store);
    } else {
      reduce_two<Format>(dst, a, b, count, DividingAverage<Lane>(ranks), store);
    }
  }
  static void reduce_many(void* dst, const void* const* sources, int source_count,
                          std::size_t count, int ranks, Store store) {
    assert(ranks >= 1);
    if constexpr (!std::is_floating_point_v<Lane>) {
      reduce_list<Format>(dst, sources, source_count, count, IntegerAverage<Lane>(ranks), store);
    } else if (std::has_single_bit(static_cast<unsigned>(ranks))) {
      reduce_list<Format>(dst, sources, source_count, count, MultiplyingAverage<Lane>(ranks),
                          store);
    } else {
      reduce_list<Format>(dst, sources, source_count, count, DividingAverage<Lane>(ranks), store);
    }
  }
};

template <class Format>
void scale(void* dst, const void* src, std::size_t count, const Reduction& reduction) {
  using Lane = typename Format::Lane;
  Lane factor{};
  if constexpr (std::is_floating_point_v<Lane>) {
    factor = static_cast<Lane>(reduction.floating_factor());
  } else {
    factor = static_cast<Lane>(reduction.integer_factor());
  }
  const ScaledSource<Format, Product> source{static_cast<const typename Format::Stored*>(src),
                                             factor};
  write_results<Format>(dst, source, count, Store::cached);
}

// SumFormat is Format, or the unsigned format of the same width: integers wrap either way.
template <class Format, class SumFormat = Format>
void add_row(KernelTable& table, DataType type) {
  auto& row = table[static_cast<std::size_t>(type)];
  const Kernels& sum = SimpleKernels<SumFormat, Sum>::kKernels;
  row[static_cast<std::size_t>(ReduceOp::sum)] = sum;
  row[static_cast<std::size_t>(ReduceOp::product)] = SimpleKernels<SumFormat, Product>::kKernels;
  row[static_cast<std::size_t>(ReduceOp::min)] = SimpleKernels<Format, Minimum>::kKernels;
  row[static_cast<std::size_t>(ReduceOp::max)] = SimpleKernels<Format, Maximum>::kKernels;
  row[static_cast<std::size_t>(ReduceOp::average)] = {
      sum.reduce, AverageKernels<Format>::reduce_final, AverageKernels<Format>::reduce_many};
  row.scale = scale<SumFormat>;
  if constexpr (!std::is_floating_point_v<typename SumFormat::Lane>) {
    row[static_cast<std::size_t>(ReduceOp::bit_and)] = SimpleKernels<SumFormat, BitAnd>::kKernels;
    row[static_cast<std::size_t>(ReduceOp::bit_or)] = SimpleKernels<SumFormat, BitOr>::kKernels;
    row[static_cast<std::size_t>(ReduceOp::bit_xor)] = SimpleKernels<SumFormat, BitXor>::kKernels;
  }
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
