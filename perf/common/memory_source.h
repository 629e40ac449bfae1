// Where the buffers of a measurement come from, by --memory.
#pragma once

#include "common/buffers.h"
#include "common/options.h"
#include "tutti/communicator.h"

namespace tutti::perf {

// The communicator outlives the source; what comes from it may live longer.
Buffers::Source memory_source(Communicator& communicator, MemoryKind kind);

}  // namespace tutti::perf
