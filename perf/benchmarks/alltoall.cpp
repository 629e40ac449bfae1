// alltoall_perf: measures and checks the all-to-all.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class AllToAll : public Benchmark {
 public:
  std::string_view program() const override { return "alltoall_perf"; }
  Collective collective() const override { return Collective::all_to_all; }
  bool has_op() const override { return false; }
  bool has_root() const override { return false; }

  // All but a rank's own block crosses its link.
  double bus_factor(int ranks) const override { return (ranks - 1.0) / ranks; }

  Layout layout(const Shape&, int, int ranks) const override {
    return {.send_blocks = ranks, .recv_blocks = ranks};
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.all_to_all(send, recv, shape.count, shape.type);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.all_to_all_async(send, recv, shape.count, shape.type);
  }

  Pattern input(const Shape& shape, int rank, int ranks, int block) const override {
    return random_bits(shape.type, rank * ranks + block, shape.count);
  }
  Pattern expected(const Shape& shape, int rank, int ranks, int block) const override {
    return random_bits(shape.type, block * ranks + rank, shape.count);
  }
};

}  // namespace

const Benchmark& alltoall_benchmark() {
  static const AllToAll benchmark;
  return benchmark;
}

}  // namespace tutti::perf
