#include "device/reduce.h"

#include <cassert>
#include <cstring>

#include "device/kernel_table.h"

namespace tutti::device {

KernelTable resolve_kernels() {
  KernelTable table{};
  add_float32_and_float64(table);
  add_float16_and_bfloat16(table);
  add_float8(table);
  add_integers_8_and_16(table);
  add_integers_32_and_64(table);
  return table;
}

const Kernels& kernels(DataType type, ReduceOp op) {
  static const KernelTable table = resolve_kernels();
  const auto row = static_cast<std::size_t>(type);
  const auto column = static_cast<std::size_t>(op);
  assert(row < table.size() && column < table[row].size());
  assert(supports(type, op));
  return table[row][column];
}

void scale(DataType type, void* dst, const void* src, std::size_t count,
           const Reduction& reduction) {
  static const ScaleTable table = resolve_scale();
  const auto row = static_cast<std::size_t>(type);
  assert(row < table.size());
  table[row](dst, src, count, reduction);
}

void copy(void* dst, const void* src, std::size_t bytes, Store store) {
  // Null pointers of empty buffers too.
  if (bytes == 0 || dst == src) return;
  if (store == Store::cached) {
    std::memcpy(dst, src, bytes);
    return;
  }
  static const CopyFunction copy_bytes = resolve_copy();
  copy_bytes(dst, src, bytes, store);
}

std::string_view simd_target() {
  static const std::string_view name = resolve_target_name();
  return name;
}

}  // namespace tutti::device
