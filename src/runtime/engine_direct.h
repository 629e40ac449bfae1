// All-reduce of allocated memory, which is read and written where it lies: see engine.h.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/try.h"
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
  // run() is next. Else all copy, and `copies(area)` is true of those that do so already.
  template <typename Copies>
  Result<bool> announce(const Operation& operation, const Copies& copies) {
    if (!announce_own(operation)) return false;
    bool all = true;
    TUTTI_TRY(board_.wait_all([&](const EngineArea& area) {
      if (area.announced.number.load(std::memory_order_acquire) >= number_) return true;
      if (!copies(area)) return false;
      all = false;
      return true;
    }));
    return all;
  }
  Status run(const Operation& operation);
  // After an all_reduce that was announced, or might have been, and failed.
  void leave(const Status& failure);

 private:
  bool announce_own(const Operation& operation);
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
  std::uint64_t number_ = 0;      // of the all-reduces that might have been announced
  std::vector<Buffers> reached_;  // by rank
};

}  // namespace tutti::runtime
