// Kernels of float16 and bfloat16.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/reduce_float16.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "device/kernels_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

void fill_float16_and_bfloat16(KernelTable& table) {
  add_row<Float16Format>(table, DataType::float16);
  add_row<BFloat16Format>(table, DataType::bfloat16);
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tutti::device {

HWY_EXPORT(fill_float16_and_bfloat16);

void add_float16_and_bfloat16(KernelTable& table) {
  HWY_DYNAMIC_DISPATCH(fill_float16_and_bfloat16)(table);
}

}  // namespace tutti::device
#endif
