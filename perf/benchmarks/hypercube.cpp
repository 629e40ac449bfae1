// hypercube_perf: measures and checks exchanges along the edges of a hypercube: in round k ranks
// 2^k apart exchange all they have, until every rank has every block. An all-gather by recursive
// doubling that is made of sends and receives, as nccl-tests' program of that name.
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/try.h"
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
    const int rank = communicator.rank();
    const int size = communicator.size();
    if ((size & (size - 1)) != 0) {
      return error(Code::invalid_argument,
                   "a hypercube has 2, 4, 8, ... ranks, and these are {}; start another number",
                   size);
    }
    auto* const blocks = static_cast<std::byte*>(recv);
    const auto at = [&](int block) { return blocks + block * shape.bytes(); };
    if (send != at(rank) && shape.count > 0) {
      std::memcpy(at(rank), send, static_cast<std::size_t>(shape.bytes()));
    }
    for (int bit = 1; bit < size; bit *= 2) {
      const int mine = rank & ~(bit - 1);  // first of the blocks that this rank has
      const std::int64_t count = shape.count * bit;
      TUTTI_TRY(communicator.send_recv(at(mine), count, rank ^ bit, at(mine ^ bit), count,
                                       rank ^ bit, shape.type));
    }
    return {};
  }
  // Each exchange needs the one before it: there is nothing to leave running.
  Work start(Communicator& communicator, const void* send, void* recv,
             const Shape& shape) const override {
    const Status outcome = run(communicator, send, recv, shape);
    return outcome.ok() ? Work() : communicator.barrier_async();
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
