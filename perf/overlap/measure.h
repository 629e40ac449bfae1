// Measuring one size. Collective: all ranks make the same calls in the same order.
#pragma once

#include "common/buffers.h"
#include "overlap/compute.h"
#include "overlap/options.h"
#include "overlap/table.h"
#include "tutti/communicator.h"

namespace tutti::perf {

// Times an all-reduce of `count` elements and as much computation, alone and together, and counts
// wrong elements of the last result on all ranks. The row is the same on every rank.
Result<OverlapRow> measure_overlap(Communicator& communicator, const OverlapOptions& options,
                                   Buffers& buffers, Compute& compute, std::int64_t count);

}  // namespace tutti::perf
