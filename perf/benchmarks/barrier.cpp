// barrier_perf: measures the latency of the barrier. One row, without any bytes, and the spread of
// the iterations.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class Barrier : public Benchmark {
 public:
  std::string_view program() const override { return "barrier_perf"; }
  Collective collective() const override { return Collective::barrier; }
  bool has_op() const override { return false; }
  bool has_root() const override { return false; }
  Options defaults() const override {
    Options options;
    options.per_iteration = true;
    options.iterations = 1000;  // a 99th percentile needs a hundred at least
    options.warmup_iterations = 20;
    return options;
  }
  double bus_factor(int) const override { return 0; }  // there are no bytes
  Layout layout(const Shape&, int, int) const override {
    return {.send_blocks = 0, .recv_blocks = 0};
  }

  Status run(Communicator& communicator, const void*, void*, const Shape&) const override {
    return communicator.barrier();
  }
  Result<Work> start(Communicator& communicator, const void*, void*, const Shape&) const override {
    return communicator.barrier_async();
  }

  Pattern input(const Shape& shape, int rank, int, int) const override {
    return random_bits(shape.type, rank, shape.count);
  }
  Pattern expected(const Shape& shape, int rank, int, int) const override {
    return random_bits(shape.type, rank, shape.count);
  }
};

}  // namespace

const Benchmark& barrier_benchmark() {
  static const Barrier benchmark;
  return benchmark;
}

}  // namespace tutti::perf
