// Large all_reduce of allocated memory, which is read and written where it lies: see engine.h.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/reduce.h"
#include "plan/partition.h"
#include "runtime/crew.h"
#include "runtime/engine_board.h"
#include "runtime/engine_reach.h"
#include "runtime/engine_sources.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class DirectAllReduce {
 public:
  DirectAllReduce(Board& board, Reach& reach, Crew& crew);

  // Says where this rank's buffers lie, if peers can reach them, and whether all ranks did: then
  // run() is next, and else tiles. `tiles_before`: of the tiled operations before.
  Result<bool> announce(const Operation& operation, std::uint64_t tiles_before);
  Status run(const Operation& operation);
  // After a large all_reduce that failed, tiled or not.
  void leave(const Status& failure);

 private:
  void reduce_share(const Operation& operation);
  // The part of it that a thread takes, in elements.
  void reduce_range(const Operation& operation, device::Store store, int thread,
                    const plan::Range& range);

  struct Buffers {
    const void* send;
    std::byte* recv;
  };

  Board& board_;
  Reach& reach_;
  Crew& crew_;
  Sources sources_;
  std::uint64_t number_ = 0;      // of the large all-reduces so far
  std::vector<Buffers> reached_;  // by rank
};

}  // namespace tutti::runtime
