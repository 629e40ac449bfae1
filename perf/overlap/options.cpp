#include "overlap/options.h"

#include <CLI/CLI.hpp>

#include "common/command_line.h"

namespace tutti::perf {
namespace {

constexpr const char* kOverlapDescription =
    "How much of an asynchronous all-reduce (float32, sum) hides behind computation: measures "
    "each\n"
    "alone, then both at once. Start it as the other performance programs:\n"
    "\n"
    "  tutti run -n 2 --no-prefix -- overlap_perf -b 64K -e 16M\n"
    "\n"
    "The computation is made as long as the communication. overlap is the time saved, as a share "
    "of\n"
    "the shorter of the two: 1 when one hides the other, 0 when they might as well run in turns.";

void add_overlap_options(CLI::App& app, OverlapOptions& options) {
  add_size(app, "-b,--minbytes", options.sweep.min_bytes, "Smallest size: 8, 4K, 1M", "64K");
  add_size(app, "-e,--maxbytes", options.sweep.max_bytes, "Largest size", "16M");
  app.add_option("-f,--stepfactor", options.sweep.factor, "Multiplied from size to size")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1'000'000}))
      ->type_name("N")
      ->capture_default_str();
  add_count(app, "-n,--iters", options.iterations, 1, "Timed iterations of each measurement");
  add_count(app, "-w,--warmup_iters", options.warmup_iterations, 0,
            "Iterations before the timed ones");
  add_threads(app, options.threads);
  app.add_flag("--json", options.json, "Print JSON instead of a table");
}

}  // namespace

ParsedOverlapOptions parse_overlap_options(const std::vector<std::string>& arguments) {
  OverlapOptions options;
  CLI::App app(kOverlapDescription, "overlap_perf");
  app.set_version_flag("--version", version_text());
  let_the_last_win(app);
  add_overlap_options(app, options);
  if (std::optional<Ending> ending = read(app, arguments)) return *std::move(ending);
  if (const std::string why = backwards(options.sweep); !why.empty()) {
    return rejected(app.get_name(), why);
  }
  return options;
}

}  // namespace tutti::perf
