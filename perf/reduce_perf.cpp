// reduce_perf: measures and checks the reduce.
#include "common/main.h"

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
    return communicator.reduce(send, recv, shape.count, shape.type, shape.op, shape.root);
  }
  Work start(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.reduce_async(send, recv, shape.count, shape.type, shape.op, shape.root);
  }

  Pattern input(const Shape& shape, int rank, int ranks, int) const override {
    return reduction_input(shape.type, shape.op, rank, ranks, shape.count);
  }
  Pattern expected(const Shape& shape, int, int ranks, int) const override {
    return reduction_result(shape.type, shape.op, ranks, shape.count);
  }
};

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  return tutti::perf::run_main(argc, argv, tutti::perf::Reduce());
}
