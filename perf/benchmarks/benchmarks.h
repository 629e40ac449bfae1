// Every benchmark: one for each performance program, and measured by mpi_perf too. Constants, safe
// to use from several threads.
#pragma once

#include "common/benchmark.h"

namespace tutti::perf {

const Benchmark& all_gather_benchmark();
const Benchmark& all_reduce_benchmark();
const Benchmark& alltoall_benchmark();
const Benchmark& alltoallv_benchmark();
const Benchmark& barrier_benchmark();
const Benchmark& broadcast_benchmark();
const Benchmark& gather_benchmark();
const Benchmark& hypercube_benchmark();
const Benchmark& reduce_benchmark();
const Benchmark& reduce_scatter_benchmark();
const Benchmark& scatter_benchmark();
const Benchmark& sendrecv_benchmark();

}  // namespace tutti::perf
