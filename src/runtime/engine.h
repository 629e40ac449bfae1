// The native shared-memory engine: the collectives of ranks that share a node, over posts on a
// board (engine_board.h) instead of ports. All but one: uneven_all_to_all.h.
//
// An algorithm of equal rank with the planned ones ("shm"). Every element is reduced once, over all
// ranks in rank order; all_reduce and broadcast have reference plans, all_reduce:direct and
// broadcast:flat, against which it is tested bit by bit. n is the number of ranks, S the bytes of
// the message (of all blocks together where there are blocks).
//
// Short: even calls whose posts have up to 4 KiB, all kinds but premultiplied sums, are done at
//   once: one flag round, or none where messages go one way. Reductions read n S, so all-reduces
//   among more than 8 ranks are short up to 32 KiB / n only, or 1 KiB. (A premultiplied one is
//   multiplied first, and then the same.)
// Blocks (all but what follows): in step k every sender posts piece k of all its blocks, and takes
//   piece k of its own from every sender's post; reductions read all posts at once.
//   Cost: one flag round; S staged, S read. Piece k + 1, and maybe more (Reach::pieces_ahead()),
//   is staged before piece k is taken.
//   Blocks that are long enough (Reach::worth_mapping(), worth_reading()) and lie in allocated
//   memory, or in any where peers can read each other's processes, need not be staged: their place
//   may be posted instead, and they are taken from there. And staged ones may be written past the
//   cache. Whichever took less (lending.h).
//   Cost: two flag rounds; S read and written. The sender stays until all have taken; one that
//   fails before says so, and who has taken then looks whether what it took was still kept.
// barrier: one step of empty posts.
// all_reduce, longer: up to 16 KiB (of two ranks) everyone stages its data and reduces everybody's;
//   and where peers can read each other's processes, have a CPU each and none is in place, maybe up
//   to 512 KiB (of two ranks) straight from the send buffers.
// all_reduce, large, and reduce among many: tiles in two phases. Everyone stages its tile; rank r
//   reduces chunk r of it from all stages, into its result buffer (and its recv buffer); everyone,
//   or the root, copies the other results. In an all_reduce, stages and results go through the
//   cache or past it, whichever took less.
//   Cost: two flag rounds per tile, overlapped with the staging of the next tile; S staged, S
//   reduced from the stages and S copied out per rank, whatever n is. Each rank's order is:
//   stage(t+1), reduce(t), collect(t). stage(t+1) overwrites stage(t-1), which the others read in
//   reduce(t-1): known to be over since collect(t-1). reduce(t) overwrites result(t-2), which the
//   others read in collect(t-2), before they staged t: and reduce(t) begins when all have staged t.
// all_reduce of more than 1 KiB, when every rank's buffers come from allocate(): no stages.
// Everyone announces where its buffers lie; rank r reduces share r straight from all send buffers
// into all recv buffers, and says so.
//   Cost: two flag rounds for all; S read and S written per rank. When some ranks' buffers are not
//   allocated, those which are lose one round, and one of the ways above is taken. (Nothing is
//   posted: a call that does not match is found by the heartbeats of the control path.)
//   A rank that fails in it may have peers in the midst of its buffers: it says that it leaves, and
//   waits for a while for who announced to be through or to leave too. Who announces afterwards
//   sees that it has left.
//
// Long blocks are copied and reduced by the whole crew (crew.h), where the ranks leave cores idle.
//
// One engine belongs to one communicator and one thread at a time. Once a shape has run, no
// allocation, lock or system call but a wait's, those that map a peer's allocation when it is first
// used, those that read a peer's process, and one that wakes the crew.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/control.h"
#include "runtime/crew.h"
#include "runtime/engine_board.h"
#include "runtime/engine_direct.h"
#include "runtime/engine_exchange.h"
#include "runtime/engine_reach.h"
#include "runtime/engine_short.h"
#include "runtime/engine_tiles.h"
#include "runtime/operation.h"
#include "runtime/waiter.h"
#include "transport/node.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Engine {
 public:
  // Collective. REQUIRES: all ranks of the communicator are on `node`; 2 to kEngineRanksMax.
  // `joining` waits meanwhile, `waiter` from then on.
  static Result<std::unique_ptr<Engine>> create(transport::Node& node, Crew& crew, Waiter& joining,
                                                Waiter& waiter, Control& control);

  Status run(const Operation& operation, const Call& call);
  // For point to point.
  Reach& reach() { return reach_; }

 private:
  Engine(transport::Node& node, Crew& crew, Board board, bool crowded);

  Status barrier();
  Status all_reduce(const Operation& operation);
  Status all_reduce_longer(const Operation& operation);

  Crew& crew_;
  Board board_;
  Reach reach_;
  Exchange exchange_;
  ShortMessages short_;
  Tiles tiles_;
  DirectAllReduce direct_;
};

// The engine's name in the algorithm table.
inline constexpr std::string_view kEngineName = "shm";

}  // namespace tutti::runtime
