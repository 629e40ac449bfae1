// sendrecv_perf: measures and checks a ring of sends and receives: every rank sends to the next one
// and receives from the one before it.
#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class SendRecv : public Benchmark {
 public:
  std::string_view program() const override { return "sendrecv_perf"; }
  Collective collective() const override { return Collective::all_to_all; }
  bool has_op() const override { return false; }
  bool has_root() const override { return false; }
  std::string algorithm(const Communicator&, const Shape&) const override { return "send_recv"; }

  // The message crosses each link once in each direction.
  double bus_factor(int) const override { return 1; }

  // Input and output of a send and its receive are never the same memory.
  Layout layout(const Shape&, int, int) const override { return {.in_place = false}; }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    return communicator.send_recv(send, shape.count, next(communicator), recv, shape.count,
                                  previous(communicator), shape.type);
  }
  Result<Work> start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const override {
    return communicator.send_recv_async(send, shape.count, next(communicator), recv, shape.count,
                                        previous(communicator), shape.type);
  }

  Pattern input(const Shape& shape, int rank, int, int) const override {
    return random_bits(shape.type, rank, shape.count);
  }
  Pattern expected(const Shape& shape, int rank, int ranks, int) const override {
    return random_bits(shape.type, (rank + ranks - 1) % ranks, shape.count);
  }

 private:
  static int next(const Communicator& communicator) {
    return (communicator.rank() + 1) % communicator.size();
  }
  static int previous(const Communicator& communicator) {
    return (communicator.rank() + communicator.size() - 1) % communicator.size();
  }
};

}  // namespace

const Benchmark& sendrecv_benchmark() {
  static const SendRecv benchmark;
  return benchmark;
}

}  // namespace tutti::perf
