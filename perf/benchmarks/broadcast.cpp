// broadcast_perf: measures and checks the broadcast.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class Broadcast : public Benchmark {
 public:
  std::string_view program() const override { return "broadcast_perf"; }
  Collective collective() const override { return Collective::broadcast; }
  bool has_op() const override { return false; }
  bool has_root() const override { return true; }

  // The message crosses every link into a rank once.
  double bus_factor(int) const override { return 1; }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.broadcast(send, recv, shape.count, shape.type, shape.root);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.broadcast_async(send, recv, shape.count, shape.type, shape.root);
  }

  Pattern input(const Shape& shape, int rank, int, int) const override {
    return random_bits(shape.type, rank, shape.count);
  }
  Pattern expected(const Shape& shape, int, int, int) const override {
    return random_bits(shape.type, shape.root, shape.count);
  }
};

}  // namespace

const Benchmark& broadcast_benchmark() {
  static const Broadcast benchmark;
  return benchmark;
}

}  // namespace tutti::perf
