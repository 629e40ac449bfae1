// One of our benchmarks, done by MPI: same buffers, same data, same check, same clock.
//
// Tutti's communicator joins the ranks and gathers their times; only what is timed, and the barrier
// before it, is MPI's. Stateless; one thread's use, as MPI was told.
#pragma once

#include <string>

#include "mpi/calls.h"

namespace tutti::perf {

class MpiBenchmark : public Benchmark {
 public:
  // `counterpart` outlives this.
  explicit MpiBenchmark(const Counterpart& counterpart);

  std::string_view program() const override { return program_; }
  Collective collective() const override { return original_.collective(); }
  bool has_op() const override { return original_.has_op(); }
  bool has_root() const override { return original_.has_root(); }
  Options defaults() const override { return original_.defaults(); }
  double bus_factor(int ranks) const override { return original_.bus_factor(ranks); }
  Layout layout(const Shape& shape, int rank, int ranks) const override;
  std::int64_t block_count(const Shape& shape, int from, int to) const override {
    return original_.block_count(shape, from, to);
  }
  // Whose MPI it is, for example "Open MPI v4.1.4".
  std::string algorithm(const Communicator& communicator, const Shape& shape) const override;
  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override;
  Status barrier(Communicator& communicator) const override;
  Pattern input(const Shape& shape, int rank, int ranks, int block) const override {
    return original_.input(shape, rank, ranks, block);
  }
  Pattern expected(const Shape& shape, int rank, int ranks, int block) const override {
    return original_.expected(shape, rank, ranks, block);
  }

 private:
  const Counterpart& counterpart_;
  const Benchmark& original_;
  std::string program_;
};

}  // namespace tutti::perf
