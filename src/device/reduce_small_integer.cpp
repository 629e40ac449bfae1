// Kernels of 8-bit and 16-bit integers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/reduce_small_integer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "device/kernels_inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti::device::HWY_NAMESPACE {

void fill_integers_8_and_16(KernelTable& table) {
  add_row<PlainFormat<std::int8_t>, PlainFormat<std::uint8_t>>(table, DataType::int8);
  add_row<PlainFormat<std::uint8_t>>(table, DataType::uint8);
  add_row<PlainFormat<std::int16_t>, PlainFormat<std::uint16_t>>(table, DataType::int16);
  add_row<PlainFormat<std::uint16_t>>(table, DataType::uint16);
}

}  // namespace tutti::device::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tutti::device {

HWY_EXPORT(fill_integers_8_and_16);

void add_integers_8_and_16(KernelTable& table) {
  HWY_DYNAMIC_DISPATCH(fill_integers_8_and_16)(table);
}

}  // namespace tutti::device
#endif
