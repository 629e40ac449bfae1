#include "overlap/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "common/size_option.h"

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
  const auto iterations = [](std::int64_t low) {
    return CLI::Range(low, std::int64_t{1'000'000'000});
  };
  app.add_option("-b,--minbytes", options.sweep.min_bytes, "Smallest size: 8, 4K, 1M")
      ->transform(size_in_bytes())
      ->type_name("SIZE")
      ->default_str("64K");
  app.add_option("-e,--maxbytes", options.sweep.max_bytes, "Largest size")
      ->transform(size_in_bytes())
      ->type_name("SIZE")
      ->default_str("16M");
  app.add_option("-f,--stepfactor", options.sweep.factor, "Multiplied from size to size")
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1'000'000}))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("-n,--iters", options.iterations, "Timed iterations of each measurement")
      ->check(iterations(1))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("-w,--warmup_iters", options.warmup_iterations, "Iterations before the timed ones")
      ->check(iterations(0))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("-t,--nthreads", options.threads, "Ranks per process, one thread each")
      ->check(CLI::Range(1, 1024))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print JSON instead of a table");
}

}  // namespace

ParsedOverlapOptions parse_overlap_options(const std::vector<std::string>& arguments) {
  OverlapOptions options;
  CLI::App app(kOverlapDescription, "overlap_perf");
  app.set_version_flag("--version", version_text());
  add_overlap_options(app, options);
  const auto rejected = [](std::string_view why) {
    return ParsedOverlapOptions{
        {}, ExitCode::usage, fmt::format("overlap_perf: {}\nTry overlap_perf --help.\n", why)};
  };
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    return {{}, ExitCode::ok, app.help()};
  } catch (const CLI::CallForVersion&) {
    return {{}, ExitCode::ok, version_text() + "\n"};
  } catch (const CLI::ParseError& failure) {
    return rejected(failure.what());
  }
  if (options.sweep.min_bytes > options.sweep.max_bytes) {
    return rejected(fmt::format("--minbytes {} is more than --maxbytes {}; give both -b and -e",
                                options.sweep.min_bytes, options.sweep.max_bytes));
  }
  return {options, ExitCode::ok, ""};
}

}  // namespace tutti::perf
