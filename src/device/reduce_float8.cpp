// Kernels of the two 8-bit floats.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/reduce_float8.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "device/kernels_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

void fill_float8(KernelTable& table) {
  add_row<Float8E4M3Format>(table, DataType::float8_e4m3);
  add_row<Float8E5M2Format>(table, DataType::float8_e5m2);
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tutti::device {

HWY_EXPORT(fill_float8);

void add_float8(KernelTable& table) {
  HWY_DYNAMIC_DISPATCH(fill_float8)(table);
}

}  // namespace tutti::device
#endif
