#include "overlap/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/try.h"
#include "common/data.h"
#include "common/gather.h"

namespace tutti::perf {
namespace {

// The same number on every rank.
Result<double> mean_over_ranks(Communicator& communicator, double mine) {
  TUTTI_TRY_ASSIGN(const std::vector<double> all, gather(communicator, mine));
  return std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
}

// Microseconds per iteration, the mean over the ranks.
template <typename Iteration>
Result<double> time_iterations_us(Communicator& communicator, const OverlapOptions& options,
                                  Iteration iteration) {
  for (std::int64_t i = 0; i < options.warmup_iterations; ++i) TUTTI_TRY(iteration());
  TUTTI_TRY(communicator.barrier());
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < options.iterations; ++i) TUTTI_TRY(iteration());
  const std::chrono::duration<double, std::micro> elapsed =
      std::chrono::steady_clock::now() - start;
  return mean_over_ranks(communicator, elapsed.count() / static_cast<double>(options.iterations));
}

}  // namespace

Result<OverlapRow> measure_overlap(Communicator& communicator, const OverlapOptions& options,
                                   Buffers& buffers, Compute& compute, std::int64_t count) {
  constexpr DataType kType = DataType::float32;
  const int ranks = communicator.size();
  OverlapRow row;
  row.count = count;
  row.bytes = count * static_cast<std::int64_t>(size_of(kType));
  const auto send = buffers.send(0, row.bytes);
  const auto recv = buffers.recv(0, row.bytes);
  reduction_input(kType, ReduceOp::sum, communicator.rank(), ranks, count).fill(send);
  const auto start = [&] {
    return communicator.all_reduce_async(send.data(), recv.data(), count, kType, ReduceOp::sum);
  };

  TUTTI_TRY_ASSIGN(row.communication_us,
                   time_iterations_us(communicator, options, [&] { return start().wait(); }));
  // As much computation as communication, and equally much on every rank.
  TUTTI_TRY_ASSIGN(const double pass_us, mean_over_ranks(communicator, compute.pass_us()));
  const auto passes = std::max<std::int64_t>(1, std::llround(row.communication_us / pass_us));
  TUTTI_TRY_ASSIGN(row.compute_us, time_iterations_us(communicator, options, [&] {
                     compute.run(passes);
                     return Status();
                   }));
  std::ranges::fill(recv, std::byte{0});
  TUTTI_TRY_ASSIGN(row.both_us, time_iterations_us(communicator, options, [&] {
                     const Work work = start();
                     compute.run(passes);
                     return work.wait();
                   }));

  row.wrong = reduction_result(kType, ReduceOp::sum, ranks, count).count_wrong(recv);
  TUTTI_TRY(communicator.all_reduce(&row.wrong, &row.wrong, 1, DataType::int64, ReduceOp::sum));
  return row;
}

}  // namespace tutti::perf
