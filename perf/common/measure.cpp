#include "common/measure.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>
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

// The windows of one iteration.
struct Windows {
  std::span<std::byte> send;
  std::span<std::byte> recv;
  std::span<std::byte> whole;  // around the receive window, in place the only buffer
};

class Operation {
 public:
  Operation(Bench& bench, const Shape& shape, Placement placement)
      : bench_(bench),
        shape_(shape),
        layout_(
            bench.benchmark.layout(shape, bench.communicator.rank(), bench.communicator.size())),
        in_place_(placement == Placement::in_place && layout_.in_place) {}

  bool in_place() const { return in_place_; }
  const Layout& layout() const { return layout_; }
  std::int64_t whole_bytes() const {
    return shape_.bytes() * (in_place_ ? layout_.blocks() : layout_.recv_blocks);
  }

  Windows windows(std::int64_t i) {
    const auto block = static_cast<std::size_t>(shape_.bytes());
    const auto sent = block * static_cast<std::size_t>(layout_.send_blocks);
    const auto received = block * static_cast<std::size_t>(layout_.recv_blocks);
    const auto whole = bench_.buffers.recv(i, whole_bytes());
    if (!in_place_) {
      return {bench_.buffers.send(i, static_cast<std::int64_t>(sent)), whole, whole};
    }
    return {whole.subspan(block * static_cast<std::size_t>(layout_.send_place), sent),
            whole.subspan(block * static_cast<std::size_t>(layout_.recv_place), received), whole};
  }

  Status run(std::int64_t i) {
    const Windows at = windows(i);
    return bench_.benchmark.run(bench_.communicator, at.send.data(), at.recv.data(), shape_);
  }
  Result<Work> start(std::int64_t i) {
    const Windows at = windows(i);
    return bench_.benchmark.start(bench_.communicator, at.send.data(), at.recv.data(), shape_);
  }

 private:
  Bench& bench_;
  const Shape& shape_;
  const Layout layout_;
  const bool in_place_;
};

// One iteration: one blocking call, or several asynchronous ones in flight together.
Status iterate(Bench& bench, Operation& operation, std::int64_t i, std::vector<Work>& in_flight) {
  const std::int64_t aggregated = bench.options.aggregated_iterations;
  if (aggregated == 1) {
    TUTTI_TRY(operation.run(i));
  } else {
    for (std::int64_t k = 0; k < aggregated; ++k) {
      TUTTI_TRY_ASSIGN(Work work, operation.start(i));
      in_flight.push_back(std::move(work));
    }
    for (const Work& work : in_flight) TUTTI_TRY(work.wait());
    in_flight.clear();
  }
  return bench.options.blocking == Blocking::barrier ? bench.benchmark.barrier(bench.communicator)
                                                     : Status();
}

// Microseconds per iteration on this rank, and of each iteration when they were timed one by one.
struct Timing {
  double mean_us = 0;
  std::vector<double> iterations_us;
};

Result<Timing> time_iterations(Bench& bench, const Shape& shape, Placement placement) {
  const Options& options = bench.options;
  Operation operation(bench, shape, placement);
  std::vector<Work> in_flight;
  for (std::int64_t i = 0; i < options.warmup_iterations; ++i) {
    TUTTI_TRY(iterate(bench, operation, i, in_flight));
  }
  const bool pauses = options.blocking == Blocking::barrier_not_timed;
  const bool one_by_one = options.per_iteration || pauses;
  Timing timing;
  if (one_by_one) timing.iterations_us.reserve(static_cast<std::size_t>(options.iterations));
  TUTTI_TRY(bench.benchmark.barrier(bench.communicator));
  const auto start = now(options.report_cputime);
  auto lap = start;
  for (std::int64_t i = 0; i < options.iterations; ++i) {
    TUTTI_TRY(iterate(bench, operation, i, in_flight));
    if (!one_by_one) continue;
    const auto end = now(options.report_cputime);
    timing.iterations_us.push_back((end - lap).count());
    if (pauses) TUTTI_TRY(bench.benchmark.barrier(bench.communicator));
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

// Calls visit(block's bytes, pattern) for every block of a window.
template <typename Visit>
void for_each_block(std::span<std::byte> window, std::size_t block_bytes,
                    const std::vector<Pattern>& patterns, Visit visit) {
  for (std::size_t block = 0; block < patterns.size(); ++block) {
    visit(window.subspan(block * block_bytes, block_bytes), patterns[block], block);
  }
}

// Wrong elements on all ranks together: received values, changed inputs, and bytes written outside.
Result<std::int64_t> count_wrong(Bench& bench, const Shape& shape, Placement placement,
                                 const Patterns& patterns) {
  Operation operation(bench, shape, placement);
  Buffers& buffers = bench.buffers;
  const Windows at = operation.windows(0);
  const auto block_bytes = static_cast<std::size_t>(shape.bytes());
  const int rank = bench.communicator.rank();
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < bench.options.checks; ++i) {
    buffers.poison(operation.whole_bytes());
    for_each_block(at.send, block_bytes, patterns.input,
                   [](auto block, const Pattern& pattern, auto) { pattern.fill(block); });
    TUTTI_TRY(operation.run(0));
    for_each_block(at.recv, block_bytes, patterns.expected,
                   [&](auto block, const Pattern& pattern, std::size_t from) {
                     const auto bytes = static_cast<std::size_t>(bench.benchmark.block_count(
                                            shape, static_cast<int>(from), rank)) *
                                        size_of(shape.type);
                     wrong += pattern.count_wrong(block.first(bytes));
                   });
    wrong += buffers.damaged_guard_bytes(operation.whole_bytes());
    if (operation.in_place()) continue;
    for_each_block(
        at.send, block_bytes, patterns.input,
        [&](auto block, const Pattern& pattern, auto) { wrong += pattern.count_wrong(block); });
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
    const int blocks = bench.benchmark.layout(shape, 0, bench.communicator.size()).blocks();
    result.algbw = static_cast<double>(shape.bytes() * blocks) / result.time_us / 1e3;
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
