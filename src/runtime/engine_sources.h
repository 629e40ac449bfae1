// Where the sources of a reduction lie, for each thread of a crew: one of every rank, some of them
// in memory of this thread's own, to which they were read from other processes.
//
// Lifetime: an engine's. prepare() and failure() by the rank's thread; all else by any of the crew,
// each for itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/crew.h"
#include "runtime/engine_board.h"
#include "runtime/engine_reach.h"

namespace tutti::runtime {

// What of a reduction's result a thread does at a time: as many bytes for all sources together.
constexpr std::int64_t reduce_share_bytes(int ranks) {
  constexpr std::int64_t kAtOnce = 128 << 10;
  constexpr std::int64_t kLeast = 16 << 10;
  return std::max(kAtOnce / ranks, kLeast) / kEngineAlignmentBytes * kEngineAlignmentBytes;
}

class Sources {
 public:
  Sources(Board& board, Reach& reach, const Crew& crew)
      : board_(board), reach_(reach), hands_(static_cast<std::size_t>(crew.threads())) {
    for (Hand& hand : hands_) hand.sources.resize(static_cast<std::size_t>(board.ranks()));
  }

  // Before sources are read from other processes.
  void prepare() {
    const auto ranks = static_cast<std::size_t>(board_.ranks());
    for (Hand& hand : hands_) {
      if (hand.room.empty()) hand.room.resize(block_bytes() * ranks);
    }
  }
  // By rank; for the thread to fill.
  std::span<const void*> of(int thread) { return hands_[static_cast<std::size_t>(thread)].sources; }
  // Reads a block, no longer than read_bytes(), of what the rank lent. Null if that fails.
  const void* read(int thread, int rank, const ProcessPlace& place, const Block& block) {
    Hand& hand = hands_[static_cast<std::size_t>(thread)];
    if (!hand.failure.ok()) return nullptr;
    std::byte* const copy = hand.room.data() + static_cast<std::size_t>(rank) * block_bytes();
    const Status read = reach_.read(place, block, copy);
    if (read.ok()) return copy;
    hand.failure = cannot_read(board_.rank(), describe(board_.call()), rank, read);
    return nullptr;
  }
  // Why a thread could not read, if one could not.
  Status failure() {
    for (Hand& hand : hands_) {
      if (!hand.failure.ok()) return board_.peer_failed(std::move(hand.failure));
    }
    return {};
  }

 private:
  struct alignas(transport::kCacheLine) Hand {
    std::vector<const void*> sources;
    std::vector<std::byte> room;
    Status failure;
  };
  std::size_t block_bytes() const { return static_cast<std::size_t>(read_bytes(board_.ranks())); }

  Board& board_;
  Reach& reach_;
  std::vector<Hand> hands_;  // by thread
};

}  // namespace tutti::runtime
