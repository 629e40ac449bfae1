// All kernels for one instruction set, and how they are chosen. Internal to the device layer and
// its tests. The tables are plain values; the functions are pure and thread-safe.
#pragma once

#include <array>
#include <string_view>

#include "device/reduce.h"

namespace tutti::device {

// table[type][op]; null where the type does not support the operator.
using KernelTable = std::array<std::array<Kernels, kReduceOpCount>, kDataTypeCount>;

// The kernels for the best instruction set of those that Highway reports as supported at the time
// of the call. The library resolves them once; tests call this once per instruction set.
KernelTable resolve_kernels();

// Each fills the rows of its types. One source file each, so that they compile in parallel.
void add_float32_and_float64(KernelTable& table);
void add_float16_and_bfloat16(KernelTable& table);
void add_float8(KernelTable& table);
void add_integers_8_and_16(KernelTable& table);
void add_integers_32_and_64(KernelTable& table);

// table[type]
using ScaleFunction = void (*)(void* dst, const void* src, std::size_t count,
                               const Reduction& reduction);
using ScaleTable = std::array<ScaleFunction, kDataTypeCount>;
ScaleTable resolve_scale();

using CopyFunction = void (*)(void* dst, const void* src, std::size_t bytes, Store store);
CopyFunction resolve_copy();

std::string_view resolve_target_name();

}  // namespace tutti::device
