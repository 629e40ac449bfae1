// Kernels of float32 and float64.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/reduce_float.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "device/kernels_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

void fill_float32_and_float64(KernelTable& table) {
  add_row<PlainFormat<float>>(table, DataType::float32);
  add_row<PlainFormat<double>>(table, DataType::float64);
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tutti::device {

HWY_EXPORT(fill_float32_and_float64);

void add_float32_and_float64(KernelTable& table) {
  HWY_DYNAMIC_DISPATCH(fill_float32_and_float64)(table);
}

}  // namespace tutti::device
#endif
