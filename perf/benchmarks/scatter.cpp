// scatter_perf: measures and checks the scatter.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class Scatter : public Benchmark {
 public:
  std::string_view program() const override { return "scatter_perf"; }
  Collective collective() const override { return Collective::scatter; }
  bool has_op() const override { return false; }
  bool has_root() const override { return true; }

  // All but a rank's own block crosses its link.
  double bus_factor(int ranks) const override { return (ranks - 1.0) / ranks; }

  Layout layout(const Shape& shape, int rank, int ranks) const override {
    return {.send_blocks = ranks, .recv_place = rank, .in_place = rank == shape.root};
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.scatter(send, recv, shape.count, shape.type, shape.root);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.scatter_async(send, recv, shape.count, shape.type, shape.root);
  }

  Pattern input(const Shape& shape, int rank, int ranks, int block) const override {
    return random_bits(shape.type, rank * ranks + block, shape.count);
  }
  Pattern expected(const Shape& shape, int rank, int ranks, int) const override {
    return random_bits(shape.type, shape.root * ranks + rank, shape.count);
  }
};

}  // namespace

const Benchmark& scatter_benchmark() {
  static const Scatter benchmark;
  return benchmark;
}

}  // namespace tutti::perf
