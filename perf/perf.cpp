// The performance programs: one for each benchmark, which the build names.
#include "benchmarks/benchmarks.h"
#include "common/main.h"

int main(int argc, char** argv) {
  return tutti::perf::run_main(argc, argv, tutti::perf::TUTTI_PERF_BENCHMARK());
}
