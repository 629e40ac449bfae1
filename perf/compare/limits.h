// What the machine itself can do, each in microseconds per iteration. Several cores work at the
// same time, since ranks do. Not thread-safe.
#pragma once

#include <cstdint>

#include "tutti/status.h"

namespace tutti::compare {

// Half the round trip of a flag between the first two cores.
Result<double> flag_us(std::int64_t iterations);
// A flag's share of a stream of them from one core to another: what a root that need not wait pays.
Result<double> flag_stream_us(std::int64_t iterations);
// Each of `threads` cores copies, or adds two of, its own buffers of this size; through the cache
// or past it, whichever takes less time.
Result<double> copy_us(std::int64_t bytes, std::int64_t iterations, int threads);
Result<double> add_us(std::int64_t bytes, std::int64_t iterations, int threads);
// The same in place: one buffer is multiplied by a factor, or another one is added to it.
Result<double> update_us(std::int64_t bytes, std::int64_t iterations, int threads);
Result<double> accumulate_us(std::int64_t bytes, std::int64_t iterations, int threads);

}  // namespace tutti::compare
