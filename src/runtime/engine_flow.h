// What one rank gives and gets in a collective, in bytes of its own buffers: the shape that all
// collectives of the engine share.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/operation.h"

namespace tutti::runtime {

struct Block {
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
};

// Does a sender have the same block for everybody?
constexpr bool sends_one_block(Collective collective) {
  return collective != Collective::scatter && collective != Collective::reduce_scatter &&
         collective != Collective::all_to_all;
}

// Who sends to whom, and blocks of what.
struct Roles {
  Roles() = default;
  Roles(const Operation& operation, int rank);

  // Does every rank post, and wait for all?
  bool swaps() const { return sender < 0 && receiver < 0; }

  bool sends = true;          // this rank posts
  bool receives = true;       // and takes
  int sender = -1;            // the only rank that posts, or -1: all
  int receiver = -1;          // the only one that takes, or -1: all others
  bool one_block = false;     // a sender has the same block for everybody
  bool fills_blocks = false;  // a receiver keeps each sender's in a place of its own
};

struct Flow : Roles {
  // REQUIRES: not a barrier, nor an uneven all-to-all.
  void describe(const Operation& operation, int rank, int ranks);

  // Receivers cannot know where in the sender's buffer their blocks lie: the sender tells.
  bool told = false;
  std::int64_t largest = 0;      // of any block
  std::int64_t own_largest = 0;  // of the blocks that this rank sends
  std::vector<Block> out;  // by receiver, in the send buffer; with one_block the first for all
  std::vector<Block> in;   // by sender, in the recv buffer; reductions have the same for all

  // The end of the last block.
  std::int64_t sent_bytes() const;

 private:
  // Gives the largest of them.
  static std::int64_t lay_out(std::vector<Block>& to, const Operation& operation,
                              const Blocks& blocks, int ranks);
};

}  // namespace tutti::runtime
