// Kernels of 32-bit and 64-bit integers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/reduce_integer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "device/kernels_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

void fill_integers_32_and_64(KernelTable& table) {
  add_row<PlainFormat<std::int32_t>, PlainFormat<std::uint32_t>>(table, DataType::int32);
  add_row<PlainFormat<std::uint32_t>>(table, DataType::uint32);
  add_row<PlainFormat<std::int64_t>, PlainFormat<std::uint64_t>>(table, DataType::int64);
  add_row<PlainFormat<std::uint64_t>>(table, DataType::uint64);
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tutti::device {

HWY_EXPORT(fill_integers_32_and_64);

void add_integers_32_and_64(KernelTable& table) {
  HWY_DYNAMIC_DISPATCH(fill_integers_32_and_64)(table);
}

}  // namespace tutti::device
#endif
