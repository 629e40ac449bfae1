// hypercube_perf: measures and checks exchanges along the edges of a hypercube: in round k ranks
// 2^k apart exchange all they have, until every rank has every block. An all-gather by recursive
// doubling that is made of sends and receives, as nccl-tests' program of that name.
#include "benchmarks/hypercube.h"

#include "benchmarks/benchmarks.h"

namespace tutti::perf {
namespace {

class Hypercube : public Benchmark {
 public:
  std::string_view program() const override { return "hypercube_perf"; }
  Collective collective() const override { return Collective::all_gather; }
  bool has_op() const override { return false; }
  bool has_root() const override { return false; }
  std::string algorithm(const Communicator&, const Shape&) const override { return "send_recv"; }

  // All but a rank's own block cross its link.
  double bus_factor(int ranks) const override { return (ranks - 1.0) / ranks; }

  Layout layout(const Shape&, int rank, int ranks) const override {
    return {.recv_blocks = ranks, .send_place = rank};
  }

  Status run(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    const auto exchange = [&](const void* sent, void* received, std::int64_t count, int peer) {
      return communicator.send_recv(sent, count, peer, received, count, peer, shape.type);
    };
    return exchange_along_edges(send, recv, shape, communicator.rank(), communicator.size(),
                                exchange);
  }

  Pattern input(const Shape& shape, int rank, int, int) const override {
    return random_bits(shape.type, rank, shape.count);
  }
  Pattern expected(const Shape& shape, int, int, int block) const override {
    return random_bits(shape.type, block, shape.count);
  }
};

}  // namespace

const Benchmark& hypercube_benchmark() {
  static const Hypercube benchmark;
  return benchmark;
}

}  // namespace tutti::perf
