// overlap_perf: how much of an asynchronous all-reduce hides behind computation.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/try.h"
#include "common/job.h"
#include "common/session.h"
#include "overlap/measure.h"

namespace tutti::perf {
namespace {

// Rank 0 prints; all ranks return the same rows.
Result<std::vector<OverlapRow>> run_sizes(Communicator& communicator,
                                          const OverlapOptions& options) {
  const bool prints = communicator.rank() == 0 && !options.json;
  if (prints) std::fputs(overlap_preamble(communicator.size(), options).c_str(), stdout);
  TUTTI_TRY_ASSIGN(Buffers buffers, Buffers::create(options.sweep.max_bytes, 0));
  Compute compute;
  std::vector<OverlapRow> rows;
  const auto element_bytes = static_cast<std::int64_t>(size_of(DataType::float32));
  for (const std::int64_t count : element_counts(options.sweep, element_bytes)) {
    TUTTI_TRY_ASSIGN(const OverlapRow row,
                     measure_overlap(communicator, options, buffers, compute, count));
    rows.push_back(row);
    if (!prints) continue;
    std::fputs(format_overlap_row(row).c_str(), stdout);
    std::fflush(stdout);
  }
  return rows;
}

ExitCode run_rank(Communicator& communicator, const OverlapOptions& options) {
  const int rank = communicator.rank();
  const auto rows = run_sizes(communicator, options);
  if (!rows.ok()) {
    print_error("overlap_perf", whereabouts(rank, communicator.host(rank)), rows.status());
    return exit_code(rows.status());
  }
  if (options.json && rank == 0) {
    std::puts(overlap_json(communicator.size(), options, *rows).dump(2).c_str());
  }
  const bool wrong =
      std::ranges::any_of(*rows, [](const OverlapRow& row) { return row.wrong > 0; });
  return wrong ? ExitCode::wrong_data : ExitCode::ok;
}

int run(const std::vector<std::string>& arguments) {
  const auto parsed = parse_overlap_options(arguments);
  if (!parsed.options) return refuse({parsed.code, parsed.text});
  Options job;
  job.threads = parsed.options->threads;
  return static_cast<int>(run_ranks("overlap_perf", job, [&](Communicator& communicator) {
    return run_rank(communicator, *parsed.options);
  }));
}

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  return tutti::perf::run(std::vector<std::string>(argv + 1, argv + argc));
}
