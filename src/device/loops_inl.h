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

// Where results go. To dst, through the cache or past it.
template <class Format, bool kStreaming>
struct OnePlace {
  using Stored = typename Format::Stored;
  template <class D>
  using Lanes = hn::Vec<StoredTag<Format, D>>;
  static constexpr bool kStreams = kStreaming;

  // Vectors are put at addresses that are aligned where this is.
  const Stored* aligned() const { return dst; }
  template <class D>
  HWY_INLINE void put(D /*d*/, Lanes<D> v, std::size_t i) const {
    if constexpr (kStreaming) {
      store_streaming(StoredTag<Format, D>(), v, dst + i);
    } else {
      store(StoredTag<Format, D>(), v, dst + i);
    }
  }
  template <class D>
  HWY_INLINE void put_anywhere(D /*d*/, Lanes<D> v, std::size_t i) const {
    store(StoredTag<Format, D>(), v, dst + i);
  }

  Stored* dst;
};

// To dst through the cache, and to copy past it.
template <class Format>
struct TwoPlaces {
  static constexpr bool kStreams = true;

  const typename Format::Stored* aligned() const { return copy.aligned(); }
  template <class D, class V>
  HWY_INLINE void put(D d, V v, std::size_t i) const {
    dst.put(d, v, i);
    copy.put(d, v, i);
  }
  template <class D, class V>
  HWY_INLINE void put_anywhere(D d, V v, std::size_t i) const {
    dst.put_anywhere(d, v, i);
    copy.put_anywhere(d, v, i);
  }

  OnePlace<Format, false> dst;
  OnePlace<Format, true> copy;
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

// REQUIRES: count is at least the lanes of a vector; to.aligned() is aligned to its elements if
// kStreams.
template <class Format, class Places, class Sources>
HWY_INLINE void write_vectors(const Places& to, const Sources& sources, std::size_t count) {
  const hn::ScalableTag<typename Format::Lane> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto first = sources.at(d, 0);
  const auto last = sources.at(d, count - lanes);
  std::size_t i = elements_to_alignment(StoredTag<Format, decltype(d)>(), to.aligned());
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
  to.put_anywhere(d, first, 0);
  to.put_anywhere(d, last, count - lanes);
  if constexpr (Places::kStreams) hwy::FlushStream();
}

// Are there fewer results than a vector has lanes?
template <class Format>
HWY_INLINE bool are_few(std::size_t count) {
  return count < hn::Lanes(hn::ScalableTag<typename Format::Lane>());
}

// A streaming store needs an aligned address, and some never come by one.
template <class Format>
HWY_INLINE bool can_stream_to(const void* to) {
  return reinterpret_cast<std::uintptr_t>(to) % sizeof(typename Format::Stored) == 0;
}

template <class Format, class Sources>
HWY_INLINE void write_results(void* dst, const Sources& sources, std::size_t count, Store store) {
  auto* const to = static_cast<typename Format::Stored*>(dst);
  if (are_few<Format>(count)) {
    constexpr std::size_t kLanes = hn::MaxLanes(hn::ScalableTag<typename Format::Lane>());
    if constexpr (kLanes > 1) write_few_results<Format, kLanes / 2>(to, sources, count);
  } else if (store == Store::streaming && can_stream_to<Format>(to)) {
    write_vectors<Format>(OnePlace<Format, true>{to}, sources, count);
  } else {
    write_vectors<Format>(OnePlace<Format, false>{to}, sources, count);
  }
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
