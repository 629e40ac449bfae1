// Vector loads and stores at any address, for one instruction set.
//
// Compiled once per instruction set: the guard toggles, as Highway's own per-target headers do.
#if defined(TUTTI_DEVICE_MEMORY_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TUTTI_DEVICE_MEMORY_INL_H
#undef TUTTI_DEVICE_MEMORY_INL_H
#else
#define TUTTI_DEVICE_MEMORY_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Vectors shorter than the smallest register are moved by memcpy into integers: Highway's partial
// loads would dereference a misaligned T*, which the language does not define.
template <class D>
inline constexpr bool kIsRegister = hn::MaxLanes(D()) * sizeof(hn::TFromD<D>) >= 16;

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const hn::TFromD<D>* from) {
  if constexpr (kIsRegister<D>) {
    return hn::LoadU(d, from);
  } else {
    HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(D())];
    std::memcpy(lanes, from, sizeof(lanes));
    return hn::Load(d, lanes);
  }
}

template <class D>
HWY_INLINE void store(D d, hn::Vec<D> v, hn::TFromD<D>* to) {
  if constexpr (kIsRegister<D>) {
    hn::StoreU(v, d, to);
  } else {
    HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(D())];
    hn::Store(v, d, lanes);
    std::memcpy(to, lanes, sizeof(lanes));
  }
}

// REQUIRES: `to` is aligned to the vector. Vectors shorter than a register have no such store.
template <class D>
HWY_INLINE void store_streaming(D d, hn::Vec<D> v, hn::TFromD<D>* to) {
  if constexpr (kIsRegister<D>) {
    hn::Stream(v, d, to);
  } else {
    store(d, v, to);
  }
}

// The distance, 1 to all lanes of D, from `at` to an address aligned for D; all lanes when there is
// none, that is, when `at` is not even aligned to its own elements.
template <class D>
HWY_INLINE std::size_t elements_to_alignment(D d, const hn::TFromD<D>* at) {
  using T = hn::TFromD<D>;
  const auto past = reinterpret_cast<std::uintptr_t>(at) % (hn::Lanes(d) * sizeof(T));
  return past % sizeof(T) != 0 ? hn::Lanes(d) : hn::Lanes(d) - past / sizeof(T);
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
