// gather_perf: measures and checks the gather.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class Gather : public Benchmark {
 public:
  std::string_view program() const override { return "gather_perf"; }
  Collective collective() const override { return Collective::gather; }
  bool has_op() const override { return false; }
  bool has_root() const override { return true; }

  // All but a rank's own block crosses its link.
  double bus_factor(int ranks) const override { return (ranks - 1.0) / ranks; }

  Layout layout(const Shape& shape, int rank, int ranks) const override {
    return {.recv_blocks = ranks,
            .send_place = rank,
            .receives = rank == shape.root,
            .in_place = rank == shape.root};
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.gather(send, recv, shape.count, shape.type, shape.root);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.gather_async(send, recv, shape.count, shape.type, shape.root);
  }

  Pattern input(const Shape& shape, int rank, int, int) const override {
    return random_bits(shape.type, rank, shape.count);
  }

  Pattern expected(const Shape& shape, int, int, int block) const override {
    return random_bits(shape.type, block, shape.count);
  }
};

}  // namespace

const Benchmark& gather_benchmark() {
  static const Gather benchmark;
  return benchmark;
}

}  // namespace tutti::perf
