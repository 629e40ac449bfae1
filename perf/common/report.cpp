#include "common/report.h"

#include <nlohmann/json.hpp>

#include "common/names.h"

namespace tutti::perf {
namespace {

using Json = nlohmann::ordered_json;

Json config_json(const Report& report) {
  const Options& options = report.options;
  const Sweep& sweep = options.sweep;
  Json config = {{"ranks", report.devices.size()},
                 {"nthreads", options.threads},
                 {"minimum_bytes", sweep.min_bytes},
                 {"maximum_bytes", sweep.max_bytes}};
  if (sweep.factor > 1) {
    config["step_factor"] = sweep.factor;
  } else {
    config["step_bytes"] = sweep.step_bytes;
  }
  config["warmup_iters"] = options.warmup_iterations;
  config["iterations"] = options.iterations;
  config["aggregated_iterations"] = options.aggregated_iterations;
  config["run_cycles"] = options.cycles;
  config["validation"] = options.checks;
  config["blocking_collectives"] = static_cast<int>(options.blocking);
  config["average"] = static_cast<int>(options.average);
  config["unalign"] = options.unalign;
  config["memory"] = name_of(options.memory);
  config["per_iter_timing"] = options.per_iteration;
  config["skipped_iterations"] = options.skipped_iterations;
  config["devices"] = Json::array();
  for (const Device& device : report.devices) {
    config["devices"].push_back({{"rank", device.rank},
                                 {"pid", device.pid},
                                 {"hostname", device.host},
                                 {"device", device.local_rank},
                                 {"device_info", device.cpu}});
  }
  return config;
}

Json measurement_json(const Measurement& measured, bool cputime) {
  Json json = {{cputime ? "cpu_time" : "time", measured.time_us},
               {"alg_bw", measured.algbw},
               {"bus_bw", measured.busbw},
               {"nwrong", nullptr},
               {"rank_times_us", measured.rank_times_us}};
  if (measured.wrong) json["nwrong"] = *measured.wrong;
  return json;
}

Json iterations_json(const Measurement& measured, const Options& options) {
  const Statistics& times = *measured.iterations_us;
  return {{"skipped_iterations", options.skipped_iterations},
          {"min_us", times.min},
          {"max_us", times.max},
          {"avg_us", times.mean},
          {"p50_us", times.p50},
          {"p95_us", times.p95},
          {"p99_us", times.p99},
          {"stdev_us", times.deviation},
          {"cv_pct", times.variation_percent()},
          {"times_us", measured.iteration_times_us}};
}

Json row_json(const Row& row, const Options& options) {
  Json json = {{"size", row.bytes},
               {"count", row.count},
               {"type", row.type},
               {"redop", row.op},
               {"root", row.root},
               {"algorithm", row.algorithm},
               {"timestamp", row.timestamp},
               {"out_of_place", measurement_json(row.out_of_place, options.report_cputime)},
               {"in_place", measurement_json(row.in_place, options.report_cputime)}};
  if (options.per_iteration) {
    json["out_of_place_per_iter"] = iterations_json(row.out_of_place, options);
    json["in_place_per_iter"] = iterations_json(row.in_place, options);
  }
  return json;
}

}  // namespace

nlohmann::ordered_json to_json(const Report& report) {
  Json rows = Json::array();
  for (const Row& row : report.rows) rows.push_back(row_json(row, report.options));
  Json bandwidth = {{"bandwidth", report.totals.average_busbw}, {"minimum", nullptr}};
  if (report.options.min_busbw) bandwidth["minimum"] = *report.options.min_busbw;
  bandwidth["okay"] = fast_enough(report.options, report.totals);
  Json latency;
  if (const auto& times = report.totals.latency_us) {
    latency = {{"min_us", times->min},
               {"p50_us", times->p50},
               {"p99_us", times->p99},
               {"max_us", times->max}};
  }
  return {{"version", kReportVersion},
          {"tutti_version", TUTTI_VERSION},
          {"program", report.program},
          {"start_time", report.start_time},
          {"args", report.arguments},
          {"config", config_json(report)},
          {"results", std::move(rows)},
          {"out_of_bounds", {{"count", report.totals.wrong}, {"okay", report.totals.wrong == 0}}},
          {"average_bus_bandwidth", std::move(bandwidth)},
          {"latency", std::move(latency)},
          {"errors", report.errors},
          {"exit_code", static_cast<int>(report.exit_code)},
          {"end_time", report.end_time}};
}

}  // namespace tutti::perf
