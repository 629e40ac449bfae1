// The board: where ranks that share a node put up messages for each other.
//
// All ranks go through the same numbered steps in the same order. In a step a rank may put up one
// post, for one, some or all of the others: a cache line with the step's number and the call's tag,
// which holds the message itself or says where it lies. Whoever needs no post of a step any more,
// its own reads included, says that it has consumed the step: at once where slots may be used, in
// short calls when enough of them have gone by.
//
//   post:     claim(), fill it; publish().         One line written, and a note or a slot.
//   take:     wait(), data(); in the end consume().  One transfer of the line from core to core.
//
// A line and its note serve the steps s, s + kLines, ..., and slots take turns in their memory:
// claim() waits until all have consumed the step that was there last. That all have is mostly known
// without a look: whoever posts step s of a barrier or a short call has consumed all before it.
// (Calls of several steps post a few of them ahead.) Swap notes (engine_area.h) go by the number of
// swaps, and need no claim.
//
// Lifetime: an engine's. One thread at a time. No allocation, lock or system call but a wait's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/control.h"
#include "runtime/engine_area.h"
#include "runtime/waiter.h"
#include "transport/doorbell.h"
#include "transport/node.h"
#include "transport/unit_ring.h"
#include "tutti/status.h"

namespace tutti::runtime {

class Board {
 public:
  // REQUIRES: all ranks of the communicator are on `node`: local ranks are the ranks.
  static Result<Board> create(transport::Node& node, Waiter& waiter, Control& control);

  void wait_by(Waiter& waiter) { waiter_ = &waiter; }
  // The call that the following steps belong to. This rank has consumed all steps before.
  void enter(const Call& call);
  const Call& call() const { return *call_; }
  std::uint64_t tag() const { return tag_; }
  int rank() const { return me_; }
  int ranks() const { return ranks_; }
  EngineArea& mine() { return *areas_[static_cast<std::size_t>(me_)]; }
  EngineArea& area(int rank) { return *areas_[static_cast<std::size_t>(rank)]; }

  // The first of the next `count` steps. Every rank takes as many.
  std::uint64_t take_steps(std::int64_t count);
  std::uint64_t next_step() const { return steps_ + 1; }
  // This call is a swap: all ranks post in it, and wait for all.
  void begin_swap() { ++swaps_; }

  // Returns once this rank's line and note of the step are free, and so many bytes of a slot, if
  // that is to be used.
  Status claim(std::uint64_t step, Where where, std::int64_t slot_bytes = 0);
  // Puts up what the line, the note or the slot holds, and wakes who sleeps.
  void publish(std::uint64_t step, Where where);
  // Puts up a message that fits the line. REQUIRES: bytes <= kInlineBytes.
  Status post(std::uint64_t step, const void* data, std::size_t bytes);
  // This rank needs no post of the step, or of one before, any more. `quiet`: nobody waits for it.
  void consume(std::uint64_t step, bool quiet = false);

  // Waits until the rank has posted the step.
  Status wait(int rank, std::uint64_t step) {
    return posted(rank, step) ? Status() : wait_late(rank, step);
  }
  // The same where the rank need not wait for this one, and may have posted the next step already:
  // that one's line is on its way while this one is looked at. Those further on are left to the
  // sender, which may be about to fill them.
  Status wait_in_stream(int rank, std::uint64_t step) {
    if (!posted(rank, step)) return wait_late(rank, step);
    prefetch_to_read(&line(rank, step + 1));
    return {};
  }
  // Waits until all have, and checks that all are in the same call.
  Status wait_everyone(std::uint64_t step);
  // Until all, or `reader`, have consumed it.
  Status wait_consumed(std::uint64_t step, int reader = kEveryone);
  // REQUIRES: waited for.
  const PostLine& line(int rank, std::uint64_t step) const {
    return areas_[static_cast<std::size_t>(rank)]->line_of(step);
  }
  // Where the data of a rank's post of the step lies, or its table if the data is elsewhere; that
  // of a swap, which is this call, or some calls ahead. A slot must be claimed, or waited for.
  std::byte* room(int rank, std::uint64_t step, Where where, std::uint64_t ahead = 0) const {
    EngineArea& of_rank = *areas_[static_cast<std::size_t>(rank)];
    switch (where) {
      case Where::line:
        return of_rank.line_of(step + ahead).data;
      case Where::note:
        return of_rank.note[(step + ahead) % kLines].data;
      case Where::swap:
        return of_rank.swap_note[(swaps_ + ahead) % kSwapNotes].data;
      default:
        return of_rank.slot_unit[of_rank.line_of(step).unit];
    }
  }
  // Takes a note of this rank's back from who read it last, before it is filled with so many bytes
  // again. Once this call has read what it needs itself: before, the lines that go would hold up
  // those that come. (2 KiB of two ranks: 0.62 us; fetched before they read, 0.85; not at all,
  // 0.73.)
  void fetch_ahead(std::uint64_t step, Where where, std::int64_t bytes) const;
  // Data that was put up in the line, the note or the slot. REQUIRES: waited for.
  const std::byte* data(int rank, std::uint64_t step) const {
    return room(rank, step, line(rank, step).where);
  }
  // mismatch, when the rank is in another call than this one.
  Status check(std::uint64_t tag, int rank);

  // Data outside the slots, put up in a step up to this one, may change once this returns: this
  // call has failed. Who has read it looks whether that came before.
  void revoke(std::uint64_t step);
  bool revoked(int rank, std::uint64_t step) const {
    transport::read_fence();
    return areas_[static_cast<std::size_t>(rank)]->revoked.value.load(std::memory_order_seq_cst) >=
           step;
  }
  // Until no rank of this process reads what this one lent.
  void wait_readers();
  // Has nobody revoked it?
  bool all_keep(std::uint64_t step) const { return revoker(step) < 0; }
  // After taking data of a step outside the slots: has nobody revoked it? Else the failure.
  Status check_kept(std::uint64_t step);
  // Waits for the news of a failure that this rank's peer `rank` has had already.
  Status wait_failure(int rank);
  // The control path's news in place of what became of a peer, when there is any.
  Status peer_failed(Status error) { return waiter_->peer_failed(std::move(error)); }

  // Waits until `ready(area)` holds for the area of every other rank.
  template <typename Ready>
  Status wait_all(Ready&& ready);
  void ring() { node_->ring_others(); }

  static constexpr int kEveryone = -1;

 private:
  // The first rank that has revoked the step, or -1.
  int revoker(std::uint64_t step) const;
  Board(transport::Node& node, Waiter& waiter, Control& control)
      : node_(&node), waiter_(&waiter), control_(&control) {}

  bool posted(int rank, std::uint64_t step) const {
    return line(rank, step).step.load(std::memory_order_acquire) >= step;
  }
  Status wait_late(int rank, std::uint64_t step);
  template <typename PassFn>
  Status wait_until(PassFn&& pass, const int& rank);
  void note_consumed();

  transport::Node* node_;
  Waiter* waiter_;
  Control* control_;
  const Call* call_ = nullptr;  // the running one
  std::uint64_t tag_ = 0;
  int me_ = 0;
  int ranks_ = 0;
  std::vector<EngineArea*> areas_;  // by rank
  std::uint64_t steps_ = 0;         // taken so far
  std::uint64_t swaps_ = 0;         // so far
  std::uint64_t consumed_ = 0;      // all are known to have consumed it
  std::uint64_t told_ = 0;          // what this rank said last that it has consumed
  // The last step that each of this rank's lines, with their notes, held, and its slots.
  std::array<std::uint64_t, kLines> line_held_{};
  transport::UnitRing slots_{kSlotUnits};
};

template <typename PassFn>
Status Board::wait_until(PassFn&& pass, const int& rank) {
  return waiter_->run(
      CollectiveActivity(*call_), [] { return std::span<pollfd>(); }, pass,
      [&rank]() -> Result<int> { return rank; });
}

template <typename Ready>
Status Board::wait_all(Ready&& ready) {
  int next = me_ == 0 ? 1 : 0;  // readiness is final, so nobody is asked again
  const auto pass = [&] {
    while (next < ranks_ && ready(area(next))) {
      if (++next == me_) ++next;
    }
    return next < ranks_ ? Pass::blocked : Pass::done;
  };
  return wait_until(pass, next);
}

}  // namespace tutti::runtime
