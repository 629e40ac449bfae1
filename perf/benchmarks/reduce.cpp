// reduce_perf: measures and checks the reduce.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class Reduce : public Benchmark {
 public:
  std::string_view program() const override { return "reduce_perf"; }
  Collective collective() const override { return Collective::reduce; }
  bool has_op() const override { return true; }
  bool has_root() const override { return true; }

  // The message crosses the busiest link once.
  double bus_factor(int) const override { return 1; }

  Layout layout(const Shape& shape, int rank, int) const override {
    return {.receives = rank == shape.root, .in_place = rank == shape.root};
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.reduce(send, recv, shape.count, shape.type,
                               shape.reduction(communicator.rank()), shape.root);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.reduce_async(send, recv, shape.count, shape.type,
                                     shape.reduction(communicator.rank()), shape.root);
  }

  Pattern input(const Shape& shape, int rank, int ranks, int) const override {
    return reduction_input(shape.type, shape.op, rank, ranks, shape.count);
  }
  Pattern expected(const Shape& shape, int, int ranks, int) const override {
    return reduction_result(shape.type, shape.op, ranks, shape.count);
  }
};

}  // namespace

const Benchmark& reduce_benchmark() {
  static const Reduce benchmark;
  return benchmark;
}

}  // namespace tutti::perf
