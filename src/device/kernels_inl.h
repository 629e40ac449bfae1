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

template <class Format, class Operator>
void reduce_list_twice(void* dst, void* copy, const void* const* sources, int source_count,
                       std::size_t count, Operator op) {
  using Stored = typename Format::Stored;
  if (source_count != 2 || are_few<Format>(count) || !can_stream_to<Format>(copy)) {
    reduce_list<Format>(dst, sources, source_count, count, op, Store::cached);
    device::copy(copy, dst, count * sizeof(Stored), Store::streaming);
    return;
  }
  const TwoSources<Format, Operator> both{static_cast<const Stored*>(sources[0]),
                                          static_cast<const Stored*>(sources[1]), op};
  write_vectors<Format>(
      TwoPlaces<Format>{{static_cast<Stored*>(dst)}, {static_cast<Stored*>(copy)}}, both, count);
}

// Everything but averages: nothing depends on the number of ranks.
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
  static void reduce_many_twice(void* dst, void* copy, const void* const* sources, int source_count,
                                std::size_t count, int /*ranks*/) {
    reduce_list_twice<Format>(dst, copy, sources, source_count, count, Operator());
  }
  static constexpr Kernels kKernels = {reduce, reduce_final, reduce_many, reduce_many_twice};
};

// Calls a function with the operator that divides by `ranks`.
template <typename Lane, class Function>
void with_average(int ranks, const Function& function) {
  assert(ranks >= 1);
  if constexpr (!std::is_floating_point_v<Lane>) {
    function(IntegerAverage<Lane>(ranks));
  } else if (std::has_single_bit(static_cast<unsigned>(ranks))) {
    function(MultiplyingAverage<Lane>(ranks));
  } else {
    function(DividingAverage<Lane>(ranks));
  }
}

template <class Format>
struct AverageKernels {
  using Lane = typename Format::Lane;

  static void reduce_final(void* dst, const void* a, const void* b, std::size_t count, int ranks,
                           Store store) {
    with_average<Lane>(ranks, [=](auto op) { reduce_two<Format>(dst, a, b, count, op, store); });
  }
  static void reduce_many(void* dst, const void* const* sources, int source_count,
                          std::size_t count, int ranks, Store store) {
    with_average<Lane>(
        ranks, [=](auto op) { reduce_list<Format>(dst, sources, source_count, count, op, store); });
  }
  static void reduce_many_twice(void* dst, void* copy, const void* const* sources, int source_count,
                                std::size_t count, int ranks) {
    with_average<Lane>(ranks, [=](auto op) {
      reduce_list_twice<Format>(dst, copy, sources, source_count, count, op);
    });
  }
};

// Signless is Format, or the unsigned format of the same width: sums and products wrap and bits
// combine either way.
template <class Format, class Signless = Format>
void add_row(KernelTable& table, DataType type) {
  const auto entry = [&row = table[static_cast<std::size_t>(type)]](ReduceOp op) -> Kernels& {
    return row[static_cast<std::size_t>(op)];
  };
  const Kernels& sum = SimpleKernels<Signless, Sum>::kKernels;
  entry(ReduceOp::sum) = sum;
  entry(ReduceOp::product) = SimpleKernels<Signless, Product>::kKernels;
  entry(ReduceOp::min) = SimpleKernels<Format, Minimum>::kKernels;
  entry(ReduceOp::max) = SimpleKernels<Format, Maximum>::kKernels;
  entry(ReduceOp::average) = {sum.reduce, AverageKernels<Format>::reduce_final,
                              AverageKernels<Format>::reduce_many,
                              AverageKernels<Format>::reduce_many_twice};
  if constexpr (std::is_integral_v<typename Format::Lane>) {
    entry(ReduceOp::bit_and) = SimpleKernels<Signless, BitAnd>::kKernels;
    entry(ReduceOp::bit_or) = SimpleKernels<Signless, BitOr>::kKernels;
    entry(ReduceOp::bit_xor) = SimpleKernels<Signless, BitXor>::kKernels;
  } else {
    for (const ReduceOp op : {ReduceOp::bit_and, ReduceOp::bit_or, ReduceOp::bit_xor}) {
      entry(op) = {};
    }
  }
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
