#include "overlap/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tutti::perf {

double OverlapRow::overlap() const {
  const double shorter = std::min(compute_us, communication_us);
  return shorter > 0 ? (compute_us + communication_us - both_us) / shorter : 0;
}

std::string overlap_preamble(int ranks, const OverlapOptions& options) {
  return fmt::format(
             "# {}\n# overlap_perf: asynchronous all_reduce of float sums, and computation; ranks: "
             "{}, warmup iters: {}, iters: {}\n#\n",
             version_text(), ranks, options.warmup_iterations, options.iterations) +
         fmt::format("# {:>10}  {:>12}  {:>10}  {:>10}  {:>10}  {:>7}  {:>6}\n", "size", "count",
                     "compute", "comm", "both", "overlap", "#wrong") +
         fmt::format("# {:>10}  {:>12}  {:>10}  {:>10}  {:>10}\n", "(B)", "(elements)", "(us)",
                     "(us)", "(us)");
}

std::string format_overlap_row(const OverlapRow& row) {
  return fmt::format("{:>12}  {:>12}  {:>10.2f}  {:>10.2f}  {:>10.2f}  {:>7.2f}  {:>6}\n",
                     row.bytes, row.count, row.compute_us, row.communication_us, row.both_us,
                     row.overlap(), row.wrong);
}

nlohmann::ordered_json overlap_json(int ranks, const OverlapOptions& options,
                                    const std::vector<OverlapRow>& rows) {
  auto results = nlohmann::ordered_json::array();
  for (const OverlapRow& row : rows) {
    results.push_back({{"size", row.bytes},
                       {"count", row.count},
                       {"compute_us", row.compute_us},
                       {"communication_us", row.communication_us},
                       {"both_us", row.both_us},
                       {"overlap", row.overlap()},
                       {"nwrong", row.wrong}});
  }
  return {{"tutti_version", TUTTI_VERSION},
          {"program", "overlap_perf"},
          {"ranks", ranks},
          {"warmup_iters", options.warmup_iterations},
          {"iterations", options.iterations},
          {"results", std::move(results)}};
}

}  // namespace tutti::perf
