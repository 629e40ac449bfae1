// all_gather_perf: measures and checks the all-gather.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class AllGather : public Benchmark {
 public:
  std::string_view program() const override { return "all_gather_perf"; }
  Collective collective() const override { return Collective::all_gather; }
  bool has_op() const override { return false; }
  bool has_root() const override { return false; }

  // All but a rank's own block crosses its link.
  double bus_factor(int ranks) const override { return (ranks - 1.0) / ranks; }

  Layout layout(const Shape&, int rank, int ranks) const override {
    return {.recv_blocks = ranks, .send_place = rank};
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.all_gather(send, recv, shape.count, shape.type);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.all_gather_async(send, recv, shape.count, shape.type);
  }

  Pattern input(const Shape& shape, int rank, int, int) const override {
    return random_bits(shape.type, rank, shape.count);
  }

  Pattern expected(const Shape& shape, int, int, int block) const override {
    return random_bits(shape.type, block, shape.count);
  }
};

}  // namespace

const Benchmark& all_gather_benchmark() {
  static const AllGather benchmark;
  return benchmark;
}

}  // namespace tutti::perf
