// MPI_Allreduce of float32 sums, measured exactly as all_reduce_perf measures Tutti: the same
// options, the same buffers, warm-up, barrier, one clock around all iterations, the mean over the
// ranks. scripts/compare_openmpi runs both. Prints JSON with the fields of docs/perf.md that it
// reads.

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/buffers.h"
#include "common/options.h"
#include "common/sizes.h"

namespace {

using tutti::perf::Buffers;
using tutti::perf::Options;

// Microseconds per operation, averaged over the ranks.
double measure(Buffers& buffers, const Options& options, std::int64_t count, bool in_place) {
  const std::int64_t bytes = count * 4;
  const auto run = [&](std::int64_t i) {
    const void* send = in_place ? MPI_IN_PLACE : buffers.send(i, bytes).data();
    MPI_Allreduce(send, buffers.recv(i, bytes).data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
  };
  for (std::int64_t i = 0; i < options.warmup_iterations; ++i) run(i);
  MPI_Barrier(MPI_COMM_WORLD);
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < options.iterations; ++i) run(i);
  const std::chrono::duration<double, std::micro> elapsed =
      std::chrono::steady_clock::now() - start;

  const double mine = elapsed.count() / static_cast<double>(options.iterations);
  double sum = 0;
  int ranks = 0;
  MPI_Allreduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  return sum / ranks;
}

// Exit status: 0, or 2 for options that make no sense.
int run_all(const std::string& program, const std::vector<std::string>& arguments, bool print) {
  const auto parsed = tutti::perf::parse_options(program, arguments);
  if (!parsed.options) {
    std::fprintf(stderr, "%s", parsed.text.c_str());
    return 2;
  }
  const Options& options = *parsed.options;
  auto buffers = Buffers::create(options.sweep.max_bytes, 0);
  if (!buffers.ok()) {
    std::fprintf(stderr, "%s\n", std::string(buffers.status().message()).c_str());
    return 2;
  }
  std::ranges::fill(buffers->whole_send(), std::byte{0});
  std::ranges::fill(buffers->whole_recv(), std::byte{0});

  auto results = nlohmann::ordered_json::array();
  for (const std::int64_t count : tutti::perf::element_counts(options.sweep, 4)) {
    results.push_back({{"size", count * 4},
                       {"count", count},
                       {"out_of_place", {{"time", measure(*buffers, options, count, false)}}},
                       {"in_place", {{"time", measure(*buffers, options, count, true)}}}});
  }
  if (print) std::printf("%s\n", nlohmann::ordered_json{{"results", results}}.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int status =
      run_all("mpi_all_reduce_perf", std::vector<std::string>(argv + 1, argv + argc), rank == 0);
  MPI_Finalize();
  return status;
}
