#include "rdma/options.h"

#include <CLI/CLI.hpp>

#include "common/command_line.h"

namespace tutti::perf {
namespace {

constexpr const char* kDescription =
    "Bandwidth or latency of one RDMA link between two ranks, as ib_write_bw and ib_write_lat\n"
    "measure it, over the transport that collectives use. Start it with two ranks:\n"
    "\n"
    "  tutti run -n 2 rdma_perf --lanes 1 -b 64K -e 1M\n"
    "\n"
    "MB are 2^20 bytes, as in perftest. TUTTI_RDMA_DEVICES chooses the rails.";

}  // namespace

std::optional<RdmaOptions> parse_rdma_options(int argc, char** argv, int& exit_code) {
  RdmaOptions options;
  CLI::App app(kDescription, "rdma_perf");
  app.set_version_flag("--version", std::string("rdma_perf ") + TUTTI_VERSION);
  app.add_flag("-l,--latency", options.latency, "Ping-pong of one message instead of a stream");
  app.add_flag("--bidirectional", options.both_ways, "Stream in both directions at once");
  add_size(app, "-b,--minbytes", options.min_bytes, "Smallest size: 8, 4K, 1M", "8");
  add_size(app, "-e,--maxbytes", options.max_bytes, "Largest size; sizes double in between",
           "4M, latency 128K");
  add_count(app, "-n,--iters", options.iterations, 10, "Messages of each size");
  add_count(app, "-w,--warmup_iters", options.warmup_iterations, 0,
            "Messages before the timed ones");
  app.add_option("--lanes", options.lanes, "Queue pairs that share the stream")
      ->check(CLI::Range(1, 8))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print JSON instead of a table");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& end) {
    exit_code = app.exit(end) == 0 ? 0 : static_cast<int>(ExitCode::usage);
    return std::nullopt;
  }
  return options;
}

}  // namespace tutti::perf
