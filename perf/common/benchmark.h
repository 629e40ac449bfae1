// What one performance program measures. A new collective is one file that implements Benchmark.
// Implementations hold no state and are safe to use from several threads.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/data.h"
#include "tutti/communicator.h"

namespace tutti::perf {

// One row of the table.
struct Shape {
  DataType type;
  ReduceOp op;
  int root;
  std::int64_t count;
  std::int64_t bytes() const { return count * static_cast<std::int64_t>(size_of(type)); }
};

class Benchmark {
 public:
  virtual ~Benchmark() = default;
  virtual std::string_view program() const = 0;  // "all_reduce_perf"
  virtual Collective collective() const = 0;
  virtual bool has_op() const = 0;
  virtual bool has_root() const = 0;
  // busbw / algbw: what the slowest link carries per byte of the message, as nccl-tests defines it.
  virtual double bus_factor(int ranks) const = 0;

  virtual Status run(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const = 0;
  virtual Work start(Communicator& communicator, const void* send, void* recv,
                     const Shape& shape) const = 0;

  // What `rank` of `ranks` sends, and what it must receive.
  virtual Pattern input(const Shape& shape, int rank, int ranks) const = 0;
  virtual Pattern expected(const Shape& shape, int rank, int ranks) const = 0;
};

}  // namespace tutti::perf
