// reduce_scatter_perf: measures and checks the reduce-scatter.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class ReduceScatter : public Benchmark {
 public:
  std::string_view program() const override { return "reduce_scatter_perf"; }
  Collective collective() const override { return Collective::reduce_scatter; }
  bool has_op() const override { return true; }
  bool has_root() const override { return false; }

  // All but a rank's own block crosses its link.
  double bus_factor(int ranks) const override { return (ranks - 1.0) / ranks; }

  Layout layout(const Shape&, int rank, int ranks) const override {
    return {.send_blocks = ranks, .recv_place = rank};
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.reduce_scatter(send, recv, shape.count, shape.type,
                                       shape.reduction(communicator.rank()));
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.reduce_scatter_async(send, recv, shape.count, shape.type,
                                             shape.reduction(communicator.rank()));
  }

  Pattern input(const Shape& shape, int rank, int ranks, int block) const override {
    return reduction_input(shape.type, shape.op, rank, ranks, shape.count, block);
  }
  Pattern expected(const Shape& shape, int, int ranks, int) const override {
    return reduction_result(shape.type, shape.op, ranks, shape.count);
  }
};

}  // namespace

const Benchmark& reduce_scatter_benchmark() {
  static const ReduceScatter benchmark;
  return benchmark;
}

}  // namespace tutti::perf
