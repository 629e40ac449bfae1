#include "common/measure.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "base/try.h"
#include "common/gather.h"

namespace tutti::perf {
namespace {

using Microseconds = std::chrono::duration<double, std::micro>;

// Elapsed time, or CPU time of the calling thread.
Microseconds now(bool cputime) {
  timespec time;
  ::clock_gettime(cputime ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

const void* source(Bench& bench, Placement placement, std::int64_t i, std::int64_t bytes) {
  Buffers& buffers = bench.buffers;
  return placement == Placement::in_place ? buffers.recv(i, bytes).data()
                                          : buffers.send(i, bytes).data();
}

Status run_once(Bench& bench, const Shape& shape, Placement placement, std::int64_t i) {
  const std::int64_t bytes = shape.bytes();
  return bench.benchmark.run(bench.communicator, source(bench, placement, i, bytes),
                             bench.buffers.recv(i, bytes).data(), shape);
}

// One iteration: one blocking call, or several asynchronous ones in flight together.
Status iterate(Bench& bench, const Shape& shape, Placement placement, std::int64_t i,
               std::vector<Work>& in_flight) {
  const std::int64_t aggregated = bench.options.aggregated_iterations;
  if (aggregated == 1) {
    TUTTI_TRY(run_once(bench, shape, placement, i));
  } else {
    const std::int64_t bytes = shape.bytes();
    for (std::int64_t k = 0; k < aggregated; ++k) {
      in_flight.push_back(bench.benchmark.start(bench.communicator,
                                                source(bench, placement, i, bytes),
                                                bench.buffers.recv(i, bytes).data(), shape));
    }
    for (const Work& work : in_flight) TUTTI_TRY(work.wait());
    in_flight.clear();
  }
  return bench.options.blocking == Blocking::barrier ? bench.communicator.barrier() : Status();
}

// Microseconds per iteration on this rank, and of each iteration when they were timed one by one.
struct Timing {
  double mean_us = 0;
  std::vector<double> iterations_us;
};

Result<Timing> time_iterations(Bench& bench, const Shape& shape, Placement placement) {
  const Options& options = bench.options;
  std::vector<Work> in_flight;
  for (std::int64_t i = 0; i < options.warmup_iterations; ++i) {
    TUTTI_TRY(iterate(bench, shape, placement, i, in_flight));
  }
  const bool pauses = options.blocking == Blocking::barrier_not_timed;
  const bool one_by_one = options.per_iteration || pauses;
  Timing timing;
  if (one_by_one) timing.iterations_us.reserve(static_cast<std::size_t>(options.iterations));
  TUTTI_TRY(bench.communicator.barrier());
  const auto start = now(options.report_cputime);
  auto lap = start;
  for (std::int64_t i = 0; i < options.iterations; ++i) {
    TUTTI_TRY(iterate(bench, shape, placement, i, in_flight));
    if (!one_by_one) continue;
    const auto end = now(options.report_cputime);
    timing.iterations_us.push_back((end - lap).count());
    if (pauses) TUTTI_TRY(bench.communicator.barrier());
    lap = pauses ? now(options.report_cputime) : end;
  }
  const double total =
      pauses ? std::accumulate(timing.iterations_us.begin(), timing.iterations_us.end(), 0.0)
             : (now(options.report_cputime) - start).count();
  timing.mean_us = total / static_cast<double>(options.iterations);
  return timing;
}

double average(const std::vector<double>& values, Average how) {
  switch (how) {
    case Average::rank0:
      return values.front();
    case Average::min:
      return *std::ranges::min_element(values);
    case Average::max:
      return *std::ranges::max_element(values);
    case Average::mean:
      break;
  }
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Wrong elements on all ranks together: received values, changed inputs, and bytes written outside.
Result<std::int64_t> count_wrong(Bench& bench, const Shape& shape, Placement placement,
                                 const Patterns& patterns) {
  const std::int64_t bytes = shape.bytes();
  Buffers& buffers = bench.buffers;
  const auto send = buffers.send(0, bytes);
  const auto recv = buffers.recv(0, bytes);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < bench.options.checks; ++i) {
    buffers.poison(bytes);
    patterns.input.fill(placement == Placement::in_place ? recv : send);
    TUTTI_TRY(run_once(bench, shape, placement, 0));
    wrong += patterns.expected.count_wrong(recv) + buffers.damaged_guard_bytes(bytes);
    if (placement == Placement::out_of_place) wrong += patterns.input.count_wrong(send);
  }
  std::int64_t everywhere = 0;
  TUTTI_TRY(bench.communicator.all_reduce(&wrong, &everywhere, 1, DataType::int64, ReduceOp::sum));
  return everywhere;
}

}  // namespace

Result<Measurement> measure(Bench& bench, const Shape& shape, Placement placement,
                            const Patterns& patterns) {
  const Options& options = bench.options;
  TUTTI_TRY_ASSIGN(Timing timing, time_iterations(bench, shape, placement));
  const double operation_us = timing.mean_us / static_cast<double>(options.aggregated_iterations);
  Measurement result;
  TUTTI_TRY_ASSIGN(result.rank_times_us, gather(bench.communicator, operation_us));
  result.time_us = average(result.rank_times_us, options.average);
  if (result.time_us > 0) {
    result.algbw = static_cast<double>(shape.bytes()) / result.time_us / 1e3;
  }
  result.busbw = result.algbw * bench.benchmark.bus_factor(bench.communicator.size());
  if (options.per_iteration) {
    auto& times = timing.iterations_us;
    times.erase(times.begin(), times.begin() + options.skipped_iterations);
    TUTTI_TRY(bench.communicator.all_reduce(times.data(), times.data(),
                                            static_cast<std::int64_t>(times.size()),
                                            DataType::float64, ReduceOp::max));
    result.iterations_us = summarize(times);
    result.iteration_times_us = std::move(times);
  }
  if (options.checks > 0) {
    TUTTI_TRY_ASSIGN(result.wrong, count_wrong(bench, shape, placement, patterns));
  }
  return result;
}

void initialize(Buffers& buffers, const Pattern& input) {
  input.fill(buffers.whole_send());
  input.fill(buffers.whole_recv());
}

}  // namespace tutti::perf
