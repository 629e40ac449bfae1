// What one performance program measures. A new collective is one file in perf/benchmarks that
// implements Benchmark.
// Implementations hold no state and are safe to use from several threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/try.h"
#include "common/data.h"
#include "common/options.h"
#include "tutti/communicator.h"

namespace tutti::perf {

// One row of the table.
struct Shape {
  DataType type;
  Operator op;
  int root;
  std::int64_t count;  // of one block
  // What `rank` passes to the library.
  Reduction reduction(int rank) const { return op.reduction(rank, type); }
  std::int64_t bytes() const { return count * static_cast<std::int64_t>(size_of(type)); }
};

// The buffers of one rank, in blocks of Shape::count elements.
struct Layout {
  int send_blocks = 1;
  int recv_blocks = 1;
  // In place there is one buffer, of the larger size: where in it the input and the output begin.
  int send_place = 0;
  int recv_place = 0;
  bool receives = true;  // false: this rank's receive buffer is not used
  bool in_place = true;  // false: this rank has two buffers even then
  int blocks() const { return std::max(send_blocks, recv_blocks); }
};

class Benchmark {
 public:
  virtual ~Benchmark() = default;
  virtual std::string_view program() const = 0;  // "all_reduce_perf"
  virtual Collective collective() const = 0;
  virtual bool has_op() const = 0;
  virtual bool has_root() const = 0;
  // What holds where the command line says nothing.
  virtual Options defaults() const { return {}; }
  // busbw / algbw: what the slowest link carries per byte of the message, as nccl-tests defines it.
  virtual double bus_factor(int ranks) const = 0;

  virtual Layout layout(const Shape& /*shape*/, int /*rank*/, int /*ranks*/) const { return {}; }
  // Elements of the block that `from` sends to `to`; fewer than Shape::count where they differ.
  virtual std::int64_t block_count(const Shape& shape, int /*from*/, int /*to*/) const {
    return shape.count;
  }
  virtual std::string algorithm(const Communicator& communicator, const Shape& shape) const {
    return communicator.algorithm(collective(), shape.count, shape.type);
  }

  virtual Status run(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const = 0;
  // Leaves the operation running; one that cannot be left runs at once.
  virtual Result<Work> start(Communicator& communicator, const void* send, void* recv,
                             const Shape& shape) const {
    TUTTI_TRY(run(communicator, send, recv, shape));
    return Work();
  }
  // What aligns the ranks before and between operations.
  virtual Status barrier(Communicator& communicator) const { return communicator.barrier(); }

  // What `rank` of `ranks` sends in a block, and what it must receive in one.
  virtual Pattern input(const Shape& shape, int rank, int ranks, int block) const = 0;
  virtual Pattern expected(const Shape& shape, int rank, int ranks, int block) const = 0;
};

}  // namespace tutti::perf
