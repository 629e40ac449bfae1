// Reduction kernels over host memory, chosen at run time for the CPU. Pure; thread-safe.
//
// Element counts are per buffer; buffers need no alignment. dst may be one of the sources, and
// otherwise does not overlap them. Types narrower than 32 bits that are floats accumulate in
// float32 and round once per call, to nearest even.
#pragma once

#include <cstddef>
#include <string_view>

#include "tutti/types.h"

namespace tutti::device {

// How results are stored: through the cache; the same, in memory that another core has just read,
// which matters to copies alone; or past the cache with non-temporal stores (worth it when the
// output is far larger than the last-level cache and is not read again soon).
enum class Store : unsigned char { cached, shared, streaming };

struct Kernels {
  // dst[i] = a[i] op b[i]; average adds.
  void (*reduce)(void* dst, const void* a, const void* b, std::size_t count, Store store);
  // The same as the last step over `ranks` contributions: average divides before it rounds. The
  // other operators ignore `ranks`.
  void (*reduce_final)(void* dst, const void* a, const void* b, std::size_t count, int ranks,
                       Store store);
  // dst[i] = sources[0][i] op sources[1][i] op ..., left to right, and average divides by `ranks`:
  // one rounding in all. source_count >= 1.
  void (*reduce_many)(void* dst, const void* const* sources, int source_count, std::size_t count,
                      int ranks, Store store);
  // The same, with results that go through the cache to dst, and past it to `copy`, which overlaps
  // neither dst nor a source.
  void (*reduce_many_twice)(void* dst, void* copy, const void* const* sources, int source_count,
                            std::size_t count, int ranks);
};

// REQUIRES: supports(type, op).
const Kernels& kernels(DataType type, ReduceOp op);

// dst[i] = factor * src[i], with the factor of `reduction`; dst is src or does not overlap it.
// float64 multiplies in float64. Other floats multiply in float32: the factor is rounded to it
// first (beyond its range to infinity), and a product for a narrower type is rounded to that type
// as above. Integers convert the factor to the type and multiply; both wrap.
// REQUIRES: a floating factor for a float type, an integer factor for an integer type.
void scale(DataType type, void* dst, const void* src, std::size_t count,
           const Reduction& reduction);

// memcpy; `shared` and `streaming` by vectors. memcpy() copies long blocks by `rep movsb`, which
// takes half as long again in memory that another core has just read, whenever that core keeps up
// with this one. (A reduce of 256 KiB of two ranks, through slots: 15 or 22 us, from run to run; by
// vectors always 15.)
void copy(void* dst, const void* src, std::size_t bytes, Store store);

// The instruction set in use, for example "AVX3_ZEN4".
std::string_view simd_target();

}  // namespace tutti::device
