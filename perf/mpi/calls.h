// The calls of MPI that stand beside ours. Plain data and functions; thread-compatible.
#pragma once

#include <string_view>
#include <vector>

#include "common/benchmark.h"

namespace tutti::perf {

// One operation of this rank, as Benchmark::run() has it.
struct Operands {
  const void* send;
  void* recv;
  const Shape& shape;
  int rank;
  int ranks;
  const Benchmark& benchmark;
};

// A benchmark and the call of MPI that does the same. An error of MPI itself ends the job, by its
// default handler, which says more than a code.
struct Counterpart {
  std::string_view name;  // "all_reduce"
  const Benchmark& (*benchmark)();
  Status (*call)(const Operands& operands);
};

// Null for a name that there is not.
const Counterpart* find_counterpart(std::string_view name);
std::vector<std::string> counterpart_names();

// Whether MPI can do this at all; it has fewer types and operators than we, and counts in an int.
Status check_supported(const Operands& operands);

}  // namespace tutti::perf
