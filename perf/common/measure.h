// Measuring and checking one row. Collective: all ranks make the same calls in the same order.
#pragma once

#include <cstdint>
#include <vector>

#include "common/benchmark.h"
#include "common/buffers.h"
#include "common/options.h"
#include "common/table.h"

namespace tutti::perf {

enum class Placement { out_of_place, in_place };

// What one rank measures with. Borrowed: everything outlives the calls.
struct Bench {
  Communicator& communicator;
  const Benchmark& benchmark;
  const Options& options;
  Buffers& buffers;
};

// The patterns of a shape on this rank; valid for any count up to that of `shape`.
struct Patterns {
  std::vector<Pattern> input;     // by block
  std::vector<Pattern> expected;  // by block; empty on a rank that receives nothing
};

// Times the operation and, by --check, verifies its result. The measurement is the same on every
// rank.
Result<Measurement> measure(Bench& bench, const Shape& shape, Placement placement,
                            const Patterns& patterns);

// Puts values that belong to the shape into both buffers, so that every page exists and no timed
// operation meets odd numbers.
void initialize(Buffers& buffers, const Pattern& input);

}  // namespace tutti::perf
