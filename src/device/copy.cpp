// Copying through the cache and past it, and the name of the instruction set in use.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/copy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

#include "device/formats_inl.h"
#include "device/kernel_table.h"
#include "device/loops_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

struct OneSource {
  template <class D>
  HWY_INLINE hn::Vec<D> at(D d, std::size_t i) const {
    return load(d, from + i);
  }

  const std::uint8_t* from;
};

void copy_bytes(void* dst, const void* src, std::size_t bytes, Store store) {
  write_results<PlainFormat<std::uint8_t>>(dst, OneSource{static_cast<const std::uint8_t*>(src)},
                                           bytes, store);
}

CopyFunction copy_bytes_address() {
  return copy_bytes;
}

const char* own_target_name() {
  return hwy::TargetName(HWY_TARGET);
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tutti::device {

HWY_EXPORT(copy_bytes_address);
HWY_EXPORT(own_target_name);

CopyFunction resolve_copy() {
  return HWY_DYNAMIC_DISPATCH(copy_bytes_address)();
}

std::string_view resolve_target_name() {
  return HWY_DYNAMIC_DISPATCH(own_target_name)();
}

}  // namespace tutti::device
#endif
