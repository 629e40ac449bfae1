// Large all_reduce, and reduce among many, through stages: see "tiles" in engine.h.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "device/reduce.h"
#include "plan/partition.h"
#include "runtime/engine_board.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Tiles {
 public:
  explicit Tiles(Board& board);

  // REQUIRES: all_reduce or reduce without a factor.
  Status run(const Operation& operation);
  // Tiles of all operations so far.
  std::uint64_t before() const { return before_; }

 private:
  void stage(const Operation& operation, std::int64_t tile);
  void reduce_chunk(const Operation& operation, std::int64_t tile);
  void collect(const Operation& operation, std::int64_t tile);
  plan::Range range(const Operation& operation, std::int64_t tile) const;
  // A rank's part of a tile.
  plan::Range chunk(const plan::Range& tile, int rank) const;
  bool keeps(const Operation& operation) const { return operation.recv != nullptr; }

  Board& board_;
  std::vector<const void*> sources_;  // scratch of the reductions, by rank
  std::uint64_t before_ = 0;
  // The running operation.
  std::int64_t tiles_ = 0;
  std::int64_t alignment_ = 1;
  device::Store store_ = device::Store::cached;
};

}  // namespace tutti::runtime
