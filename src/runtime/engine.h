// The native shared-memory engine: all_reduce, broadcast and barrier of ranks that share a node,
// over flags and staging buffers instead of ports.
//
// An algorithm of equal rank with the planned ones ("shm"). Its reference plans, which define the
// order of every reduction and against which it is tested bit by bit, are all_reduce:direct and
// broadcast:flat: every element is reduced once, over all ranks in rank order.
//
// all_reduce, small: one exchange. Everyone puts up its data and reduces everybody's.
//   Cost: one flag round for all, S staged, n S read.
//   A buffer is rewritten two exchanges later; its owner gets there only after everyone has put up
//   the exchange in between, and each rank does that after it has read the earlier one.
// all_reduce, large: tiles in two phases. Everyone stages its tile; rank r reduces chunk r of it
// from
//   all stages, into its recv buffer and its result buffer; everyone copies the other results.
//   Cost: two flag rounds per tile, overlapped with the staging of the next tile; S staged, S
//   reduced from the stages and S copied out per rank, whatever n is. Each rank's order is:
//   stage(t+1), reduce(t), collect(t). stage(t+1) overwrites stage(t-1), which the others read in
//   reduce(t-1): known to be over since collect(t-1). reduce(t) overwrites result(t-2), which the
//   others read in collect(t-2), before they staged t: and reduce(t) begins when all have staged t.
// all_reduce, large, when every rank's buffers come from allocate(): no stages. Everyone announces
// where its buffers lie; rank r reduces share r straight from all send buffers into all recv
// buffers, and says so.
//   Cost: two flag rounds for all; S read and S written per rank. When some ranks' buffers are not
//   allocated, those which are lose one round, and the tiles above are taken.
//   A rank that fails in it may have peers in the midst of its buffers: it says that it leaves, and
//   waits for a while for who announced to be through or to leave too. Who announces afterwards
//   sees that it has left.
// barrier: one exchange of a token.
// broadcast: the root puts up pieces, the others take them. Cost: one flag; S staged, S copied.
//   A piece's buffer is rewritten when all have consumed the piece that was in it.
//   A large message that the root allocated is read where it lies, as one piece; the root waits
//   until all have. S copied per rank. A root that fails before says so, and who has copied then
//   looks whether what it copied was still kept.
//
// One engine belongs to one communicator and one thread at a time. No allocation, lock or system
// call but a wait's, and those that map a peer's allocation when it is first used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/try.h"
#include "collectives/algorithms.h"
#include "device/reduce.h"
#include "runtime/control.h"
#include "runtime/engine_area.h"
#include "runtime/operation.h"
#include "runtime/waiter.h"
#include "transport/node.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Engine {
 public:
  // REQUIRES: all ranks of the communicator are on `node`, and there are at least two.
  static Result<std::unique_ptr<Engine>> create(transport::Node& node, Waiter& waiter,
                                                Control& control);

  // REQUIRES: all_reduce without a factor, broadcast or barrier.
  Status run(const Operation& operation, const Call& call);

 private:
  Engine(transport::Node& node, Waiter& waiter, Control& control)
      : node_(node), waiter_(waiter), control_(control) {}

  Status all_reduce(const Operation& operation);
  Status broadcast(const Operation& operation);
  // Says where this rank's buffers lie, if peers can reach them, and whether all ranks did.
  Result<bool> announce(const Operation& operation);
  Status all_reduce_large(const Operation& operation);
  Status all_reduce_direct(const Operation& operation);
  // After a large all_reduce that failed.
  void leave(const Status& failure);
  // Waits for the news of a failure that is there already.
  Status wait_failure();
  void reduce_share(const Operation& operation);

  Status exchange_inline(const Operation& operation);
  Status exchange(const Operation& operation);
  Status all_reduce_tiled(const Operation& operation);
  void stage(const Operation& operation, std::int64_t tile);
  void reduce_chunk(const Operation& operation, std::int64_t tile);
  void collect(const Operation& operation, std::int64_t tile);

  // Stages a piece, or puts up a place that is the whole message's.
  Status put_up(const Operation& operation, std::int64_t begin, std::int64_t bytes,
                const transport::HeapPlace& place);
  // Returns how many bytes there were.
  Result<std::int64_t> take(const Operation& operation, std::int64_t begin, std::int64_t bytes);
  Status wait_consumed(std::uint64_t piece);
  static void put_place(InlineLine& line, const transport::HeapPlace& place);
  // The message, when that was put up and not a staged piece; else null.
  Result<const std::byte*> reach_piece(const InlineLine& line, int root);
  // Heap::reach(), whose error then names the ranks and the call.
  Result<std::byte*> reach(int local, const transport::HeapPlace& place);
  Status broadcast_pieces(const Operation& operation, const transport::HeapPlace& place);

  // Waits until `ready(area)` holds for the area of every other local rank.
  template <typename Ready>
  Status wait_all(Ready&& ready);
  // Is everybody in the same call? `line` gives what an area says of its rank.
  template <typename Line>
  Status check_tags(Line&& line);
  Status check_tag(std::uint64_t tag, int local_rank);
  EngineArea& mine() { return *areas_[static_cast<std::size_t>(me_)]; }

  transport::Node& node_;
  Waiter& waiter_;
  Control& control_;
  const Call* call_ = nullptr;  // the running one
  std::uint64_t tag_ = 0;
  int me_ = 0;
  int ranks_ = 0;
  std::vector<EngineArea*> areas_;    // by local rank
  std::vector<const void*> sources_;  // scratch of the reductions, by local rank
  std::uint64_t exchanges_ = 0;
  std::uint64_t large_ = 0;  // all-reduces that were too large for an exchange
  struct Buffers {
    const void* send;
    std::byte* recv;
  };
  std::vector<Buffers> reached_;  // of a direct all_reduce, by local rank
  // Tiled all_reduce: tiles before the running operation, and the shape of the running one.
  std::uint64_t tiles_before_ = 0;
  std::int64_t tiles_ = 0;
  std::int64_t alignment_ = 1;
  device::Store store_ = device::Store::cached;
  // Broadcast: pieces so far over all roots, the last piece that each of this rank's buffers held,
  // and the last one that all others are known to have consumed.
  std::uint64_t pieces_ = 0;
  std::array<std::uint64_t, kPieces> held_{};
  std::uint64_t consumed_ = 0;
};

template <typename Line>
Status Engine::check_tags(Line&& line) {
  for (int local = 0; local < ranks_; ++local) {
    TUTTI_TRY(check_tag(line(*areas_[static_cast<std::size_t>(local)]).tag, local));
  }
  return {};
}

template <typename Ready>
Status Engine::wait_all(Ready&& ready) {
  int next = me_ == 0 ? 1 : 0;  // readiness is final, so nobody is asked again
  const auto pass = [&] {
    while (next < ranks_ && ready(*areas_[static_cast<std::size_t>(next)])) {
      if (++next == me_) ++next;
    }
    return next < ranks_ ? Pass::blocked : Pass::done;
  };
  const auto blocked_on = [&]() -> Result<int> {
    return node_.ranks()[static_cast<std::size_t>(next)];
  };
  return waiter_.run(
      CollectiveActivity(*call_), [] { return std::span<pollfd>(); }, pass, blocked_on);
}

// The engine's name in the algorithm table.
inline constexpr std::string_view kEngineName = "shm";

}  // namespace tutti::runtime
