#include "common/table.h"

#include <fmt/format.h>

#include "common/names.h"

namespace tutti::perf {
namespace {

constexpr int kTimestampColumns = 19;  // "2026-01-31 23:59:59"
constexpr std::string_view kAlgorithmColumn = "  {:>18}";

std::string header_line(const Options& options, const std::string& left,
                        const std::string& placement, std::string_view timestamp,
                        std::string_view algorithm) {
  std::string line = left + placement + placement;
  line += fmt::format(" {:>{}}", timestamp, options.report_timestamps ? kTimestampColumns : 0);
  if (options.algorithm_column) line += fmt::format(kAlgorithmColumn, algorithm);
  return line + "\n";
}

std::string header(const Options& options) {
  const auto left = [](std::string_view size, std::string_view count, std::string_view type,
                       std::string_view op, std::string_view root) {
    return fmt::format("# {:>10}  {:>12}  {:>8}  {:>6}  {:>6}", size, count, type, op, root);
  };
  std::string names =
      fmt::format("  {:>7}  {:>6}  {:>6}  {:>6}", options.report_cputime ? "cputime" : "time",
                  "algbw", "busbw", "#wrong");
  std::string units = fmt::format("  {:>7}  {:>6}  {:>6}  {:>6}", "(us)", "(GB/s)", "(GB/s)", "");
  std::string title = left("", "", "", "", "");
  if (options.per_iteration) {
    names += fmt::format("  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}", "i_min", "i_max", "i_p50", "i_p99",
                         "i_cv%");
    units +=
        fmt::format("  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}", "(us)", "(us)", "(us)", "(us)", "(%)");
    title += fmt::format("{:^{}}{:^{}}\n", "out-of-place (+ per-iteration)", names.size(),
                         "in-place (+ per-iteration)", names.size());
  } else {
    title += "           out-of-place                       in-place          \n";
  }
  return title +
         header_line(options, left("size", "count", "type", "redop", "root"), names,
                     options.report_timestamps ? "timestamp" : "", "algo") +
         header_line(options, left("(B)", "(elements)", "", "", ""), units,
                     options.report_timestamps ? "%Y-%m-%d %H:%M:%S" : "", "");
}

std::string format_measurement(const Measurement& measured) {
  std::string text =
      fmt::format("  {}  {}  {}", format_number(measured.time_us, 7),
                  format_number(measured.algbw, 6), format_number(measured.busbw, 6));
  text +=
      measured.wrong ? fmt::format("  {:>6g}", static_cast<double>(*measured.wrong)) : "     N/A";
  if (const auto& iterations = measured.iterations_us) {
    for (const double value : {iterations->min, iterations->max, iterations->p50, iterations->p99,
                               iterations->variation_percent()}) {
      text += "  " + format_number(value, 7);
    }
  }
  return text;
}

std::string blocking_line(Blocking blocking) {
  switch (blocking) {
    case Blocking::none:
    case Blocking::wait:
      return "";
    case Blocking::barrier:
      return "# Blocking Enabled: barrier after each iteration \n";
    case Blocking::barrier_not_timed:
      return "# Blocking Enabled: barrier after each iteration (not timed) \n";
  }
  return "";
}

std::string latency_line(const Statistics& latency_us) {
  return fmt::format("# {:<20} : min {:.2f}, median {:.2f}, p99 {:.2f}, max {:.2f}\n",
                     "Latency (us)", latency_us.min, latency_us.p50, latency_us.p99,
                     latency_us.max);
}

}  // namespace

std::string format_number(double value, int width) {
  int digits = 0;  // before the point
  for (double power = 1; value >= power && digits <= width; power *= 10) ++digits;
  if (digits < width - 2) return fmt::format("{:{}.2f}", value, width);
  if (digits < width - 1) return fmt::format("{:{}.1f}", value, width);
  if (digits < width + 1) return fmt::format("{:{}.0f}", value, width);
  return fmt::format("{:{}.{}e}", value, width, width >= 7 ? 1 : 0);
}

std::string preamble(const std::string& program, const Options& options,
                     const std::vector<Device>& devices) {
  const Sweep& sweep = options.sweep;
  std::string text = "# " + version_text() + "\n";
  text += fmt::format("# Collective test starting: {}\n", program);
  text += fmt::format(
      "# nThread {} nGpus 1 minBytes {} maxBytes {} step: {}({}) warmup iters: {} iters: {} "
      "agg iters: {} validation: {} graph: 0 unalign: {}\n",
      options.threads, sweep.min_bytes, sweep.max_bytes,
      sweep.factor > 1 ? sweep.factor : sweep.step_bytes, sweep.factor > 1 ? "factor" : "bytes",
      options.warmup_iterations, options.iterations, options.aggregated_iterations, options.checks,
      options.unalign);
  text += blocking_line(options.blocking);
  if (options.memory != MemoryKind::own) {
    text += fmt::format("# Memory: {}\n", name_of(options.memory));
  }
  if (options.per_iteration) {
    text += fmt::format(
        "# Per-Iteration Report: i_* use the slowest rank of each iteration, {} "
        "skipped\n",
        options.skipped_iterations);
  }
  text += "#\n# Using devices\n";
  for (const Device& device : devices) {
    text += fmt::format("#  Rank {:2} Group {:2} Pid {:6} on {:>10} device {:2} [cpu] {}\n",
                        device.rank, 0, device.pid, device.host, device.local_rank, device.cpu);
  }
  return text + "#\n" + header(options);
}

std::string format_row(const Row& row, const Options& options) {
  std::string text = fmt::format("{:>12}  {:>12}  {:>8}  {:>6}  {:>6}", row.bytes, row.count,
                                 row.type, row.op, row.root);
  text += format_measurement(row.out_of_place) + format_measurement(row.in_place);
  if (options.report_timestamps) text += "  " + row.timestamp;
  if (options.algorithm_column) text += fmt::format(kAlgorithmColumn, row.algorithm);
  return text + "\n";
}

std::string conclusion(const std::string& program, const Options& options, const Totals& totals) {
  const std::string verdict = !options.min_busbw             ? ""
                              : fast_enough(options, totals) ? "OK"
                                                             : "FAILED";
  return fmt::format("# {:<20} : {} {}\n", "Out of bounds values", totals.wrong,
                     totals.wrong == 0 ? "OK" : "FAILED") +
         (totals.latency_us ? latency_line(*totals.latency_us) : "") +
         fmt::format("# {:<20} : {:g} {}\n", "Avg bus bandwidth", totals.average_busbw, verdict) +
         fmt::format("#\n# Collective test concluded: {}\n", program);
}

bool fast_enough(const Options& options, const Totals& totals) {
  return !options.min_busbw || totals.average_busbw >= *options.min_busbw;
}

}  // namespace tutti::perf
