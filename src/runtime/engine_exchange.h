// The engine's way of all collectives that move or reduce blocks: see "Blocks" in engine.h.
//
// A post of several blocks holds a piece of each, `stride` bytes apart, in the order of their
// receivers; where receivers cannot know where the blocks of others lie (Flow::told), a table of
// all blocks comes first.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/reduce.h"
#include "runtime/crew.h"
#include "runtime/engine_board.h"
#include "runtime/engine_flow.h"
#include "runtime/engine_reach.h"
#include "runtime/engine_sources.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Exchange {
 public:
  Exchange(Board& board, Reach& reach, Crew& crew);

  // REQUIRES: not a barrier, nor an uneven all-to-all.
  Status run(const Operation& operation);

 private:
  // What the cut of an even operation depends on: the next one is mostly like the last.
  struct Shape {
    Shape() = default;
    explicit Shape(const Operation& operation)
        : count(operation.uneven ? -1 : operation.count),
          root(operation.root),
          collective(operation.collective),
          type(operation.type),
          factor(operation.reduction.factor_kind()),
          in_place(operation.in_place) {}
    bool operator==(const Shape&) const = default;

    std::int64_t count = -1;
    int root = 0;
    Collective collective = Collective::barrier;
    DataType type = DataType::float32;
    Reduction::Factor factor = Reduction::Factor::none;
    bool in_place = false;
  };
  // Where data lies that is not staged.
  struct Place {
    Where where = Where::slot;
    transport::HeapPlace heap;
    ProcessPlace process;
  };
  // What is known of a rank's posts in the running operation.
  struct Sender {
    bool open = false;                // its first post was looked at, which says what follows
    Block block;                      // this rank's, in the sender's buffer
    bool staged = true;               // its data is in its posts
    bool streamed = false;            // and was written past the cache
    bool is_mapped = false;           // it is in memory that the sender allocated
    const std::byte* base = nullptr;  // else: of its buffer, when that can be addressed,
    ProcessPlace place;               // or else this
    std::int64_t took = 0;            // to copy the block, in ticks
  };

  // The order of things.
  Status run_pieces(const Operation& operation);
  void cut(const Operation& operation);
  std::uint64_t step(std::int64_t piece) const {
    return first_step_ + static_cast<std::uint64_t>(piece);
  }
  bool waits_for(int rank) const {
    return rank != board_.rank() && (flow_.sender < 0 || flow_.sender == rank);
  }
  // Where in the sender's posts the receiver's piece begins.
  std::int64_t place_in_post(int sender, int receiver) const;
  // How much of a block a piece has; not positive when it has nothing.
  std::int64_t part(std::int64_t block_bytes, std::int64_t piece) const;

  // Sending.
  void find_place(const Operation& operation);
  // Set its way, which is chosen where there is a choice: of memory that this rank allocated, and
  // of any other.
  void choose_way_of_allocated();
  void choose_way_of_own();
  void describe_traffic(const Operation& operation);
  // For the next calls.
  void learn();
  Status post(const Operation& operation, std::int64_t piece);
  Status post_place(std::uint64_t step);
  // Of a post of data, whatever its piece.
  std::int64_t post_bytes() const;
  Status post_data(const Operation& operation, std::int64_t piece);
  void stage(const Operation& operation, std::byte* to, std::int64_t piece) const;
  void keep_own(const Operation& operation) const;

  // Receiving.
  Status open(int sender);
  void read_table(int sender);
  Status take(const Operation& operation, std::int64_t piece);
  Status take_block(const Operation& operation, int sender, std::int64_t piece);
  Status read_outside(const Operation& operation, int sender, const Block& of_block);
  Status reduce(const Operation& operation, std::int64_t piece);
  void share_out(std::int64_t took);
  // Of `bytes` of the blocks, from `begin` on.
  Status reduce_range(const Operation& operation, std::int64_t begin, std::int64_t bytes);
  // The source for a thread, or null when it cannot be read.
  const void* source(const Operation& operation, int sender, std::int64_t begin, std::int64_t bytes,
                     int thread);

  Board& board_;
  Reach& reach_;
  Crew& crew_;
  std::vector<Sender> senders_;  // by rank
  Sources sources_;
  // The running operation.
  Shape shape_;
  Flow flow_;
  bool reduces_ = false;
  bool trades_ = false;    // blocks are overwritten by those that come: an all-to-all in place
  bool scales_ = false;    // what is staged is multiplied, the own contribution too
  Place place_;            // of what this rank sends
  Way way_ = Way::staged;  // of what is learned about
  bool outside_ = false;   // something was taken that was not staged
  bool beside_ = false;    // and lies in memory of another rank of this process
  bool staged_ = false;    // something was staged
  bool learns_ = false;    // what copies take is measured, for the next calls' sake
  std::int64_t stage_took_ = 0;  // to copy into slots, in ticks
  std::int64_t kept_ = 0;        // to copy to the own output
  Traffic traffic_;              // of the shape
  std::int64_t post_blocks_ = 0;
  std::int64_t table_bytes_ = 0;
  std::int64_t piece_bytes_ = 0;
  std::int64_t pieces_ = 0;
  std::uint64_t first_step_ = 0;
  device::Store store_ = device::Store::cached;
};

}  // namespace tutti::runtime
