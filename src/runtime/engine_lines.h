// Collectives whose posts fit their cache lines: what Exchange does, with nothing left to decide.
//
// A call of some bytes is worth no more instructions than it takes to move a line from core to
// core: there are no pieces, no slots, no places and no tables here, and what was consumed is told
// rarely (Board::enter()). Results are those of Exchange, bit by bit.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine_board.h"
#include "runtime/engine_flow.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Lines {
 public:
  explicit Lines(Board& board);

  // Every rank says the same of a call.
  static bool fit(const Operation& operation, int ranks);
  // REQUIRES: fit(); not a barrier.
  Status run(const Operation& operation);

 private:
  Status put(const Operation& operation, std::uint64_t step);
  void keep_own(const Operation& operation) const;
  Status wait(std::uint64_t step);
  void take(const Operation& operation, std::uint64_t step);
  void take_from(const Operation& operation, std::uint64_t step, int sender) const;
  void reduce(const Operation& operation, std::uint64_t step);
  // What a sender posted for this rank.
  const std::byte* posted(const Operation& operation, std::uint64_t step, int sender) const;

  Board& board_;
  std::vector<const void*> sources_;  // of a reduction, by rank
  Roles roles_;                       // in the running operation
};

}  // namespace tutti::runtime
