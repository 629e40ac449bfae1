// The data of a call, and what must come of it. Pure; thread-safe.
#pragma once

#include <cstdint>

#include "compare/call.h"
#include "compare/library.h"
#include "tutti/status.h"

namespace tutti::compare {

// Elements of this rank's input, all blocks together.
std::int64_t input_elements(const Call& call, int rank, int ranks);

// Puts this rank's contribution into its input, and what no result has into its output.
void fill(const Call& call, int rank, int ranks);

// Success, or which element of `output` is wrong: mismatch. `output` is where the result must be.
Status verify(const Call& call, const float* output, int rank, int ranks);

}  // namespace tutti::compare
