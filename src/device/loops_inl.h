// The loops of the reduction kernels, for one instruction set.
//
// write_vectors walks dst once. It computes the first and the last vector before it writes anything
// and stores them after everything else. So the body can start at an aligned address and end at a
// whole vector, without a scalar head and tail, without reading past a buffer, and right even when
// dst is one of the sources: a source is never read where dst was already written.
//
// Compiled once per instruction set: the guard toggles, as Highway's own per-target headers do.
#if defined(TUTTI_DEVICE_LOOPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TUTTI_DEVICE_LOOPS_INL_H
#undef TUTTI_DEVICE_LOOPS_INL_H
#else
#define TUTTI_DEVICE_LOOPS_INL_H
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "device/memory_inl.h"
#include "device/reduce.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class Format, class D>
using StoredTag = hn::Rebind<typename Format::Stored, D>;

template <class Format, class D>
HWY_INLINE hn::Vec<D> load_lanes(D d, const typename Format::Stored* from) {
  return Format::decode(d, load(StoredTag<Format, D>(), from));
}

// a op b.
template <class Format, class Operator>
struct TwoSources {
  using Stored = typename Format::Stored;

  template <class D>
  HWY_INLINE hn::Vec<StoredTag<Format, D>> at(D d, std::size_t i) const {
    const auto combined = op.combine(d, load_lanes<Format>(d, a + i), load_lanes<Format>(d, b + i));
    return Format::encode(d, op.finish(d, combined));
  }

  const Stored* a;
  const Stored* b;
  Operator op;
};

// sources[0] op sources[1] op ..., left to right, in one pass over dst. Taking four vectors in each
// pass over the list was measured to gain a tenth at most, inside the first-level cache only.
template <class Format, class Operator>
struct ManySources {
  using Stored = typename Format::Stored;

  template <class D>
  HWY_INLINE hn::Vec<StoredTag<Format, D>> at(D d, std::size_t i) const {
    auto sum = load_lanes<Format>(d, source(0) + i);
    for (int k = 1; k < count; ++k) sum = op.combine(d, sum, load_lanes<Format>(d, source(k) + i));
    return Format::encode(d, op.finish(d, sum));
  }
  const Stored* source(int k) const { return static_cast<const Stored*>(sources[k]); }

  const void* const* sources;
  int count;
  Operator op;
};

// Where the results go.
template <class Format, bool kStreaming>
struct Destination {
  template <class D>
  HWY_INLINE void put(D /*d*/, hn::Vec<StoredTag<Format, D>> v, std::size_t i) const {
    if constexpr (kStreaming) {
      store_streaming(StoredTag<Format, D>(), v, dst + i);
    } else {
      store(StoredTag<Format, D>(), v, dst + i);
    }
  }

  typename Format::Stored* dst;
};

// Fewer elements than a vector: two overlapping vectors of a smaller size, or nothing.
template <class Format, std::size_t kLanes, class Sources>
HWY_INLINE void write_few_results(typename Format::Stored* dst, const Sources& sources,
                                  std::size_t count) {
  const hn::CappedTag<typename Format::Lane, kLanes> d;
  const std::size_t lanes = hn::Lanes(d);
  if (count >= lanes) {
    const auto first = sources.at(d, 0);
    const auto last = sources.at(d, count - lanes);
    const StoredTag<Format, decltype(d)> stored;
    store(stored, first, dst);
    store(stored, last, dst + count - lanes);
  } else if constexpr (kLanes > 1) {
    write_few_results<Format, kLanes / 2>(dst, sources, count);
  }
}

// REQUIRES: count is at least the lanes of a vector; dst is aligned to its elements if kStreaming.
template <class Format, bool kStreaming, class Sources>
HWY_INLINE void write_vectors(typename Format::Stored* dst, const Sources& sources,
                              std::size_t count) {
  const hn::ScalableTag<typename Format::Lane> d;
  const StoredTag<Format, decltype(d)> stored;
  const std::size_t lanes = hn::Lanes(d);
  const auto first = sources.at(d, 0);
  const auto last = sources.at(d, count - lanes);
  const Destination<Format, kStreaming> to{dst};
  std::size_t i = elements_to_alignment(stored, dst);
  if constexpr (Format::kUnrolled) {
    for (; i + 4 * lanes < count; i += 4 * lanes) {
      const auto v0 = sources.at(d, i);
      const auto v1 = sources.at(d, i + lanes);
      const auto v2 = sources.at(d, i + 2 * lanes);
      const auto v3 = sources.at(d, i + 3 * lanes);
      to.put(d, v0, i);
      to.put(d, v1, i + lanes);
      to.put(d, v2, i + 2 * lanes);
      to.put(d, v3, i + 3 * lanes);
    }
  }
  for (; i + lanes < count; i += lanes) to.put(d, sources.at(d, i), i);
  store(stored, first, dst);
  store(stored, last, dst + count - lanes);
  if constexpr (kStreaming) hwy::FlushStream();
}

template <class Format, class Sources>
HWY_INLINE void write_results(void* dst, const Sources& sources, std::size_t count, Store store) {
  using Stored = typename Format::Stored;
  const hn::ScalableTag<typename Format::Lane> d;
  // A streaming store needs an aligned address, and some never come by one.
  const bool alignable = reinterpret_cast<std::uintptr_t>(dst) % sizeof(Stored) == 0;
  auto* const to = static_cast<Stored*>(dst);
  if (count < hn::Lanes(d)) {
    constexpr std::size_t kLanes = hn::MaxLanes(d);
    if constexpr (kLanes > 1) write_few_results<Format, kLanes / 2>(to, sources, count);
  } else if (store == Store::streaming && alignable) {
    write_vectors<Format, true>(to, sources, count);
  } else {
    write_vectors<Format, false>(to, sources, count);
  }
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
