// rdma_perf: bandwidth and latency of an RDMA link, in perftest's columns.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "common/exit_code.h"
#include "rdma/measure.h"
#include "rdma/options.h"
#include "rdma/pair.h"

namespace tutti::perf {
namespace {

using nlohmann::json;

constexpr const char* kBandwidthHead =
    " #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]";
constexpr const char* kLatencyHead =
    " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    "
    "t_stdev[usec]   99% percentile[usec]   99.9% percentile[usec]";

// Prints on rank 0: a table row at once, so that long runs show how far they are, or JSON at last.
class Report {
 public:
  Report(const RdmaOptions& options, const RdmaPair& pair)
      : options_(options), shown_(pair.rank() == 0) {
    rows_["lanes"] = options.lanes;
    rows_["rails"] = pair.rails();
    rows_["rows"] = json::array();
    if (!shown_ || options.json) return;
    fmt::print("# rdma_perf {}, {} lane(s) over {}\n{}\n", TUTTI_VERSION, options.lanes,
               pair.rails(), options.latency ? kLatencyHead : kBandwidthHead);
  }

  void add(std::int64_t bytes, std::int64_t iterations, const Bandwidth& row) {
    rows_["rows"].push_back({{"bytes", bytes},
                             {"iterations", iterations},
                             {"peak_mib_s", row.peak_mib_s},
                             {"average_mib_s", row.average_mib_s},
                             {"messages_per_s", row.messages_per_s}});
    line(fmt::format(" {:<10} {:<14} {:<18.2f} {:<20.2f} {:.6f}", bytes, iterations, row.peak_mib_s,
                     row.average_mib_s, row.messages_per_s / 1e6));
  }
  void add(std::int64_t bytes, std::int64_t iterations, const Latency& row) {
    rows_["rows"].push_back({{"bytes", bytes},
                             {"iterations", iterations},
                             {"min_us", row.min_us},
                             {"max_us", row.max_us},
                             {"typical_us", row.typical_us},
                             {"average_us", row.average_us},
                             {"deviation_us", row.deviation_us},
                             {"p99_us", row.p99_us},
                             {"p999_us", row.p999_us}});
    line(
        fmt::format(" {:<6} {:<14} {:<14.2f} {:<12.2f} {:<16.2f} {:<14.2f} {:<15.2f} {:<22.2f} "
                    "{:.2f}",
                    bytes, iterations, row.min_us, row.max_us, row.typical_us, row.average_us,
                    row.deviation_us, row.p99_us, row.p999_us));
  }
  void finish() const {
    if (shown_ && options_.json) fmt::print("{}\n", rows_.dump(2));
  }

 private:
  void line(const std::string& text) const {
    if (!shown_ || options_.json) return;
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }

  const RdmaOptions& options_;
  const bool shown_;
  json rows_;
};

Status run(const RdmaOptions& options) {
  TUTTI_TRY_ASSIGN(Config config, Config::from_env());
  config.transports = {"rdma"};
  TUTTI_TRY_ASSIGN(const auto pair, RdmaPair::create(config, options.lanes));
  Report report(options, *pair);
  const auto slot = static_cast<std::int64_t>(pair->link().caps().slot_bytes);
  const std::int64_t most = options.latency ? std::min(options.max_bytes, slot) : options.max_bytes;
  for (std::int64_t bytes = options.min_bytes; bytes <= most; bytes *= 2) {
    if (options.latency) {
      TUTTI_TRY_ASSIGN(const Latency row, measure_latency(*pair, options, bytes));
      report.add(bytes, options.iterations, row);
    } else {
      TUTTI_TRY_ASSIGN(const Bandwidth row,
                       measure_bandwidth(*pair, options, bytes, options.iterations));
      report.add(bytes, options.iterations, row);
    }
    if (bytes == 0) bytes = 1;
  }
  report.finish();
  return {};
}

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  int code = 0;
  const auto options = tutti::perf::parse_rdma_options(argc, argv, code);
  if (!options) return code;
  const tutti::Status status = tutti::perf::run(*options);
  if (status.ok()) return 0;
  fmt::print(stderr, "rdma_perf: {}\n", status.message());
  return static_cast<int>(tutti::perf::exit_code(status));
}
