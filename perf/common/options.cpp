#include "common/options.h"

#include <CLI/CLI.hpp>
#include <string_view>

#include "base/error.h"
#include "common/command_line.h"
#include "common/names.h"

namespace tutti::perf {
namespace {

// Turns a parser of ours into CLI11's form: the text in, an error message out (empty: fine).
template <typename Parse>
CLI::Validator checked(Parse parse) {
  return CLI::Validator(
      [parse](std::string& text) {
        const auto result = parse(text);
        return result.ok() ? std::string() : std::string(result.status().message());
      },
      "");
}

void add_sweep(CLI::App& app, Options& options) {
  add_size(app, "-b,--minbytes", options.sweep.min_bytes, "Smallest size: 8, 4K, 4KiB, 1.5M",
           "32M");
  add_size(app, "-e,--maxbytes", options.sweep.max_bytes, "Largest size", "32M");
  add_size(app, "-i,--stepbytes", options.sweep.step_bytes, "Added from size to size", "1M");
  app.add_option("-f,--stepfactor", options.sweep.factor,
                 "Multiplied from size to size, instead of -i; 1 means off")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}))
      ->type_name("N");
}

void add_iterations(CLI::App& app, Options& options) {
  add_count(app, "-n,--iters", options.iterations, 1, "Timed iterations per row");
  add_count(app, "-w,--warmup_iters", options.warmup_iterations, 0,
            "Iterations before the timed ones");
  add_count(app, "-m,--agg_iters", options.aggregated_iterations, 1,
            "Operations in flight together in one iteration (asynchronous calls)");
  add_count(app, "-N,--run_cycles", options.cycles, 0,
            "Repeats of the whole table; 0 means for ever");
  add_count(app, "-c,--check", options.checks, 0, "Checks of the result per row; 0 means none");
}

void add_operation(CLI::App& app, Options& options) {
  app.add_option("-o,--op",
                 "Operators: sum, prod, min, max, avg, mulsum, a list with commas, or all")
      ->check(checked(parse_operators))
      ->each([&options](const std::string& text) { options.ops = *parse_operators(text); })
      ->type_name("OP")
      ->default_str("sum");
  app.add_option("-d,--datatype", "Types: float, half, bfloat16, int8, ..., a list, or all")
      ->check(checked(parse_data_types))
      ->each([&options](const std::string& text) { options.types = *parse_data_types(text); })
      ->type_name("TYPE")
      ->default_str("float");
  app.add_option("-r,--root", options.root, "Root rank of a rooted collective, or all")
      ->transform(CLI::Validator(
          [](std::string& text) {
            if (text == "all")
              text = std::to_string(kAllRoots);
            else if (text.starts_with('-'))
              return fmt::format("\"{}\" is not a rank", text);
            return std::string();
          },
          ""))
      ->type_name("RANK")
      ->default_str("0");
  app.add_option("-u,--unalign", options.unalign,
                 "Elements between an aligned address and the data")
      ->check(CLI::Range(0, 4096))
      ->type_name("N")
      ->capture_default_str();
}

// -R is nccl-tests': no, local or symmetric registration.
void add_memory(CLI::App& app, Options& options) {
  app.add_option("--memory",
                 "Whose memory the buffers are: private (the program's), registered (the same, "
                 "known to the communicator beforehand), allocated (the communicator's)")
      ->check(checked(parse_memory))
      ->each([&options](const std::string& text) { options.memory = *parse_memory(text); })
      ->type_name("KIND")
      ->default_str("private");
  app.add_option("-R,--local_register", options.memory,
                 "The same as a number: 0 private, 1 registered, 2 allocated")
      ->check(CLI::Range(0, 2))
      ->type_name("0|1|2");
}

void add_measurement(CLI::App& app, Options& options) {
  add_threads(app, options.threads);
  app.add_option("-z,--blocking", options.blocking,
                 "0, 2: none beyond the blocking call; 1: a barrier after each iteration; 3: the "
                 "same, not timed")
      ->check(CLI::Range(0, 3))
      ->type_name("MODE")
      ->default_str("0");
  app.add_option("-T,--timeout", options.timeout_s,
                 "Seconds that one operation may wait for its peers; 0 means TUTTI_TIMEOUT_MS")
      ->check(CLI::Range(0.0, 1e7))
      ->type_name("S")
      ->capture_default_str();
  app.add_option("-C,--report_cputime", options.report_cputime,
                 "1: CPU time of the calling thread instead of elapsed time")
      ->type_name("0|1");
  app.add_option("-a,--average", options.average,
                 "Time of a row: 0 of rank 0, 1 mean, 2 min, 3 max over the ranks")
      ->check(CLI::Range(0, 3))
      ->type_name("MODE")
      ->default_str("1");
  app.add_option("-I,--per_iteration", options.per_iteration,
                 "1: time each iteration, and add minimum, maximum, percentiles and variation")
      ->type_name("0|1")
      ->default_str(options.per_iteration ? "1" : "0");
  add_count(app, "-K,--skip_iterations", options.skipped_iterations, 0,
            "First iterations that -I leaves out of its figures");
}

void add_output(CLI::App& app, Options& options) {
  app.add_option("-S,--report_timestamps", options.report_timestamps, "1: add the time of day")
      ->type_name("0|1");
  app.add_option("-J,--output_file", options.output_file,
                 "Write a JSON report to this file as well")
      ->type_name("FILE");
  app.add_flag("--json", options.json, "Write the JSON report to standard output, and no table");
  app.add_flag("--algorithm-column", options.algorithm_column,
               "Add the algorithm that ran, as the last column");
  app.add_option("--min-busbw", options.min_busbw,
                 "Exit with 1 when the average bus bandwidth is less than this, in GB/s")
      ->check(CLI::NonNegativeNumber)
      ->type_name("GB/s");
}

// nccl-tests' options for GPUs. Scripts pass their neutral values, which are accepted.
void add_gpu_options(CLI::App& app) {
  struct GpuOption {
    const char* names;
    const char* neutral;
    const char* reason;
  };
  static constexpr GpuOption kOptions[] = {
      {"-g,--ngpus", "1", "a rank here is a CPU process or thread; start more ranks, or use -t"},
      {"-p,--parallel_init", "0", "threads always join in parallel here"},
      {"-y,--stream_null", "0", "there are no CUDA streams here"},
      {"-G,--cudagraph", "0", "there are no CUDA graphs here"},
      {"-x,--cta_policy", "0", "there are no CTAs here"},
      {"-D,--device_implementation", "0", "there is no device API here"},
      {"-V,--device_cta_count", "16", "there are no CTAs here"},
      {"-M,--memory_report", "0", "there is no GPU memory here"},
  };
  for (const GpuOption& option : kOptions) {
    app.add_option(option.names, "")
        ->check(CLI::Validator(
            [&option](std::string& text) {
              return text == option.neutral ? std::string()
                                            : fmt::format("must be {}, not \"{}\": {}",
                                                          option.neutral, text, option.reason);
            },
            ""))
        ->group("");  // hidden from --help
  }
}

std::string footer() {
  return "\nStart it with mpirun, srun, torchrun or `tutti run -n 4 -- ...`; alone it is a world "
         "of "
         "one rank.\n\nExit codes: 0 ok, 1 below --min-busbw, 2 usage, 3 environment, 4 timeout, "
         "5 wrong data,\n6 ranks lost, 7 internal error.\n";
}

// What no option alone can see; empty when all is well.
std::string contradiction(const Options& options) {
  const Sweep& sweep = options.sweep;
  if (std::string why = backwards(sweep); !why.empty()) return why;
  if (sweep.factor <= 1 && sweep.step_bytes == 0 && sweep.min_bytes != sweep.max_bytes) {
    return "--stepbytes 0 never reaches --maxbytes; give -i above 0 or -f above 1";
  }
  if (options.per_iteration && options.skipped_iterations >= options.iterations) {
    return fmt::format("--skip_iterations {} leaves nothing of --iters {}",
                       options.skipped_iterations, options.iterations);
  }
  if (options.report_cputime && options.aggregated_iterations > 1) {
    return "--report_cputime 1 sees the calling thread alone, and --agg_iters above 1 works on "
           "another thread; use one of the two";
  }
  if (options.cycles == 0 && (options.json || !options.output_file.empty())) {
    return "--run_cycles 0 never ends, so a JSON report would never be written; give -N 1 or more";
  }
  return "";
}

}  // namespace

ParsedOptions parse_options(const std::string& program, const std::vector<std::string>& arguments,
                            const Options& defaults) {
  Options options = defaults;
  CLI::App app("Measures and checks a collective of Tutti; the options are those of nccl-tests.",
               program);
  app.set_version_flag("--version", version_text());
  app.footer(footer());
  let_the_last_win(app);
  add_sweep(app, options);
  add_iterations(app, options);
  add_operation(app, options);
  add_memory(app, options);
  add_measurement(app, options);
  add_output(app, options);
  add_gpu_options(app);
  if (std::optional<Ending> ending = read(app, arguments)) return *std::move(ending);
  if (const std::string why = contradiction(options); !why.empty()) return rejected(program, why);
  return options;
}

}  // namespace tutti::perf
