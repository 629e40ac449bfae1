// Large all_reduce, and reduce among many: see "tiles" in engine.h.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "device/reduce.h"
#include "plan/partition.h"
#include "runtime/crew.h"
#include "runtime/engine_board.h"
#include "runtime/engine_reach.h"
#include "runtime/engine_sources.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Tiles {
 public:
  Tiles(Board& board, Reach& reach, Crew& crew);

  // REQUIRES: all_reduce or reduce without a factor.
  Status run(const Operation& operation);
  // Tiles of all operations so far.
  std::uint64_t before() const { return before_; }

 private:
  Status run_tiles(const Operation& operation);
  // Ranks whose send buffers are read where they lie.
  int count_lenders();
  // All ranks choose the way of a call alike, by what all say that the last ones took them.
  void choose(const Operation& operation);
  bool may_lend(std::int64_t bytes) const;
  void weigh();
  void learn(std::int64_t took, std::int64_t bytes);
  // Into stages and results.
  device::Store shared_store() const {
    return way_ == Way::streamed ? device::Store::streaming : device::Store::cached;
  }
  // An all_reduce, all of it by every rank, when it is short or all lend their send buffers. A
  // stage is rewritten two tiles later; its owner gets there only after everyone has staged the
  // tile in between, and each rank does that after it has read the earlier one.
  Status reduce_whole(const Operation& operation);
  // Waits until everybody has staged the tile, or has read or reduced its part of it; tile -1 is
  // the last one of the operation before.
  Status wait_staged(std::int64_t tile);
  Status wait_reduced(std::int64_t tile);
  template <typename Ready>
  Status wait_all(Ready&& ready);
  void say_staged(std::int64_t tile, const Operation& operation);
  void say_reduced(std::int64_t tile);
  void stage(const Operation& operation, std::int64_t tile);
  Status reduce_chunk(const Operation& operation, std::int64_t tile);
  void collect(const Operation& operation, std::int64_t tile);
  // A part of the message, to be reduced: `bytes` at `offset` of it, and at `in_stage` of the
  // tile's stages.
  struct Part {
    std::int64_t tile = 0;
    std::int64_t offset = 0;
    std::int64_t in_stage = 0;
    std::int64_t bytes = 0;
  };
  // Reduces it in blocks to `to`, and each of them to `copy` too, if that is not null.
  Status reduce(const Operation& operation, const Part& part, std::int64_t block, std::byte* to,
                device::Store store, std::byte* copy);
  // Looks where the sources are.
  void look(std::int64_t tile);
  // Sets a thread's sources of a part. Of what is lent, no more than a block at a time. False when
  // that cannot be read.
  bool find_sources(const Operation& operation, const Part& part, int thread);
  // Where a rank's send buffer can be read: nowhere when it is staged.
  ProcessPlace lent_by(int rank, std::int64_t tile) const {
    // Where there are more tiles nobody lends, and the first one's line is soon rewritten.
    return tile == 0 ? staged(board_.area(rank), 0).place : ProcessPlace();
  }
  const Staged& staged(const EngineArea& area, std::int64_t tile) const {
    return area.staged[number(tile) % 2];
  }
  std::uint64_t number(std::int64_t tile) const {
    return before_ + static_cast<std::uint64_t>(tile);
  }
  plan::Range range(const Operation& operation, std::int64_t tile) const;
  // A rank's part of a tile.
  plan::Range chunk(const plan::Range& tile, int rank) const;
  bool keeps(const Operation& operation) const { return operation.recv != nullptr; }

  // Calls of one class of sizes, and what a byte took this rank in them.
  struct Class {
    Trial trial;
    WayCosts costs{};
  };

  Board& board_;
  Reach& reach_;
  Crew& crew_;
  Sources sources_;
  std::array<Class, kSizeClasses> lending_;  // of calls that may lend
  std::array<Class, kSizeClasses> staging_;  // of others
  std::uint64_t before_ = 0;
  // The running operation.
  std::uint64_t step_ = 0;  // of the board, by which a failed rank revokes its buffers
  bool lends_ = false;      // the send buffer is read where it lies, and not staged
  Class* class_ = nullptr;  // of calls that learn which is better, the one that this is of
  Way way_ = Way::lent;     // of all ranks: who is in place stages instead of lending
  int lenders_ = 0;
  std::int64_t waited_ = 0;  // in ticks, for the others
  bool lent_ = false;        // sources are read from other processes
  bool beside_ = false;      // a source lies in memory of another rank of this process
  bool short_ = false;       // every rank reduces all of it
  std::int64_t tiles_ = 0;
  std::int64_t alignment_ = 1;
  device::Store store_ = device::Store::cached;
};

}  // namespace tutti::runtime
