// barrier_perf: measures the latency of the barrier. One row, without any bytes; -P 1 adds the
// spread over the iterations.
#include "common/main.h"

namespace tutti::perf {
namespace {

class Barrier : public Benchmark {
 public:
  std::string_view program() const override { return "barrier_perf"; }
  Collective collective() const override { return Collective::barrier; }
  bool has_op() const override { return false; }
  bool has_root() const override { return false; }
  double bus_factor(int) const override { return 0; }  // there are no bytes
  Layout layout(const Shape&, int, int) const override {
    return {.send_blocks = 0, .recv_blocks = 0};
  }

  Status run(Communicator& communicator, const void*, void*, const Shape&) const override {
    return communicator.barrier();
  }
  Work start(Communicator& communicator, const void*, void*, const Shape&) const override {
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
}  // namespace tutti::perf

int main(int argc, char** argv) {
  return tutti::perf::run_main(argc, argv, tutti::perf::Barrier());
}
