// What the reduction kernels must compute, element by element, written without them: narrow floats
// are read and rounded with ldexp and nearbyint, float32 results are computed in float64 and
// rounded (innocuous: 53 >= 2 * 24 + 2), integers in 128 bits. Slow and plain. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "tutti/types.h"

namespace tutti::test {

using Bytes = std::vector<std::byte>;

// Which kernel is meant: Kernels::reduce leaves an average undivided.
enum class Finish : std::uint8_t { none, final };

// sources[0] op sources[1] op ..., each of the same size.
Bytes reference_reduce(DataType type, ReduceOp op, std::span<const Bytes> sources, Finish finish,
                       int ranks);

// factor * source[i], by the factor of `reduction`, which is of the kind of the type.
Bytes reference_scale(DataType type, const Bytes& source, const Reduction& reduction);

// The number that `bits` stand for in a float of up to 32 bits.
double decode_float(DataType type, std::uint32_t bits);
// The nearest number of that type, ties to even; NaN is canonical.
std::uint32_t encode_float(DataType type, double value);

// Elements of all kinds: plain numbers of several magnitudes, arbitrary bits, and special values.
Bytes random_elements(DataType type, std::size_t count, std::mt19937_64& random);

std::vector<DataType> all_types();
// Those that the type supports.
std::vector<ReduceOp> operators_of(DataType type);

}  // namespace tutti::test
