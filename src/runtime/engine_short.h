// Collectives of short messages, whose posts fit their cache lines or notes: what Exchange does,
// with nothing left to decide.
//
// A call of some bytes is worth no more instructions than it takes to move them from core to core:
// there are no pieces, no slots, no places and no tables here, and what was consumed is told rarely
// (Board::enter()). Results are those of Exchange, bit by bit.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/engine_board.h"
#include "runtime/engine_flow.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class ShortMessages {
 public:
  explicit ShortMessages(Board& board);

  // Every rank says the same of a call.
  static bool fit(const Operation& operation, int ranks);
  // REQUIRES: fit(); not a barrier.
  Status run(const Operation& operation);

 private:
  Status put(const Operation& operation, std::uint64_t step);
  void keep_own(const Operation& operation) const;
  void fetch_next(int rank, std::uint64_t step) const;
  Status wait(std::uint64_t step);
  void take(const Operation& operation, std::uint64_t step);
  void take_from(const Operation& operation, std::uint64_t step, int sender) const;
  void reduce(const Operation& operation, std::uint64_t step);
  // What a sender posted for this rank.
  const std::byte* posted(const Operation& operation, std::uint64_t step, int sender) const;

  Board& board_;
  std::vector<const void*> sources_;  // of a reduction, by rank
  // Of the notes that it reduces, if there is room: for 16 ranks in any case.
  static constexpr std::size_t kCopiesBytes = 16 * kNoteBytes;
  struct alignas(kCacheLine) Copied {
    std::byte bytes[kCacheLine];
  };
  std::vector<Copied> copies_;
  // The running operation.
  Roles roles_;
  std::int64_t post_bytes_ = 0;
  Where where_ = Where::line;
};

}  // namespace tutti::runtime
