// all_reduce_perf: measures and checks the all-reduce.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class AllReduce : public Benchmark {
 public:
  std::string_view program() const override { return "all_reduce_perf"; }
  Collective collective() const override { return Collective::all_reduce; }
  bool has_op() const override { return true; }
  bool has_root() const override { return false; }

  // A rank must send and receive at least (n - 1) / n of the message twice: once to get its share
  // of the sums made, once to get the other shares.
  double bus_factor(int ranks) const override { return 2.0 * (ranks - 1) / ranks; }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.all_reduce(send, recv, shape.count, shape.type,
                                   shape.reduction(communicator.rank()));
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.all_reduce_async(send, recv, shape.count, shape.type,
                                         shape.reduction(communicator.rank()));
  }

  Pattern input(const Shape& shape, int rank, int ranks, int) const override {
    return reduction_input(shape.type, shape.op, rank, ranks, shape.count);
  }
  Pattern expected(const Shape& shape, int, int ranks, int) const override {
    return reduction_result(shape.type, shape.op, ranks, shape.count);
  }
};

}  // namespace

const Benchmark& all_reduce_benchmark() {
  static const AllReduce benchmark;
  return benchmark;
}

}  // namespace tutti::perf
