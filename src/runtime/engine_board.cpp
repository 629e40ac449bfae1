#include "runtime/engine_board.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <thread>

#include "base/deadline.h"
#include "base/try.h"
#include "runtime/tag.h"
#include "transport/doorbell.h"

namespace tutti::runtime {

Result<Board> Board::create(transport::Node& node, Waiter& waiter, Control& control) {
  Board board(node, waiter, control);
  board.me_ = node.local_rank();
  board.ranks_ = static_cast<int>(node.ranks().size());
  for (int rank = 0; rank < board.ranks_; ++rank) {
    TUTTI_TRY_ASSIGN(const std::span<std::byte> area, node.engine_area(rank));
    assert(area.size() >= sizeof(EngineArea));
    // The area is zero-filled memory: the initial state of every counter in it.
    board.areas_.push_back(std::launder(reinterpret_cast<EngineArea*>(area.data())));
  }
  return board;
}

void Board::enter(const Call& call) {
  call_ = &call;
  tag_ = tag_of(call);
  if (steps_ - told_ >= kLinesPerCredit) consume(steps_);
}

std::uint64_t Board::take_steps(std::int64_t count) {
  const std::uint64_t first = steps_ + 1;
  steps_ += static_cast<std::uint64_t>(count);
  return first;
}

Status Board::claim(std::uint64_t step, Where where, std::int64_t slot_bytes) {
  std::uint64_t& line = line_held_[step % kLines];
  if (where != Where::slot) {
    if (consumed_ < line) TUTTI_TRY(wait_consumed(line));
    line = step;
    return {};
  }
  const auto units = transport::units_of(static_cast<std::size_t>(slot_bytes), kSlotUnitBytes);
  const std::uint32_t at = slots_.place(units);
  const std::uint64_t last = std::max(line, slots_.last_in(at, units));
  if (consumed_ < last) TUTTI_TRY(wait_consumed(last));
  line = step;
  slots_.take(at, units, step);
  mine().line_of(step).unit = at;
  return {};
}

void Board::fetch_ahead(std::uint64_t step, Where where, std::int64_t bytes) const {
  constexpr std::uint64_t kNotesAhead = 2;
  static_assert(kSwapNotes > kNotesAhead, "what this swap's readers may still read stays here");
  std::byte* const next = room(me_, step, where, kNotesAhead);
  for (std::int64_t offset = 0; offset < bytes; offset += kCacheLine) {
    prefetch_to_write(next + offset);
  }
}

void Board::publish(std::uint64_t step, Where where) {
  PostLine& own = mine().line_of(step);
  own.tag = tag_;
  own.where = where;
  own.step.store(step, std::memory_order_release);
  prefetch_to_write(&mine().line_of(step + kLinesAhead));
  ring();
}

Status Board::post(std::uint64_t step, const void* data, std::size_t bytes) {
  assert(bytes <= kInlineBytes);
  TUTTI_TRY(claim(step, Where::line));
  if (bytes > 0) std::memcpy(mine().line_of(step).data, data, bytes);
  publish(step, Where::line);
  return {};
}

void Board::consume(std::uint64_t step, bool quiet) {
  told_ = step;
  mine().consumed.value.store(step, std::memory_order_release);
  if (!quiet) ring();
}

Status Board::wait_late(int rank, std::uint64_t step) {
  // Who waits has told everybody what it did: the rank may sleep for what was consumed quietly.
  ring();
  return wait_until([&] { return posted(rank, step) ? Pass::done : Pass::blocked; }, rank);
}

Status Board::wait_everyone(std::uint64_t step) {
  TUTTI_TRY(wait_all([step](const EngineArea& area) {
    return area.line_of(step).step.load(std::memory_order_acquire) >= step;
  }));
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank != me_) TUTTI_TRY(check(line(rank, step).tag, rank));
  }
  if (step > 2) consumed_ = std::max(consumed_, step - 2);
  return {};
}

Status Board::wait_consumed(std::uint64_t step, int reader) {
  if (reader != kEveryone) {
    const EngineArea& theirs = area(reader);
    const auto pass = [&] {
      return theirs.consumed.value.load(std::memory_order_acquire) >= step ? Pass::done
                                                                           : Pass::blocked;
    };
    return wait_until(pass, reader);
  }
  if (consumed_ >= step) return {};
  TUTTI_TRY(wait_all([step](const EngineArea& area) {
    return area.consumed.value.load(std::memory_order_acquire) >= step;
  }));
  note_consumed();
  return {};
}

// Who looks anyway sees how far all are, and need not look again for as many steps.
void Board::note_consumed() {
  std::uint64_t least = steps_;
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank == me_) continue;
    least = std::min(least, area(rank).consumed.value.load(std::memory_order_acquire));
  }
  consumed_ = least;
}

Status Board::check(std::uint64_t tag, int rank) {
  if (tag == tag_) [[likely]]
    return {};
  return control_->mismatched(*call_, rank, sequence_of_tag(tag, call_->sequence));
}

void Board::revoke(std::uint64_t step) {
  mine().revoked.value.exchange(step, std::memory_order_seq_cst);
  wait_readers();
}

// Readers are threads in the midst of a copy. Only in other processes they may have ended in it.
void Board::wait_readers() {
  constexpr std::int64_t kOtherProcessMs = 2000;
  const Deadline soon = Deadline::after_ms(kOtherProcessMs);
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank == me_) continue;
    while (area(rank).reading.value.load(std::memory_order_seq_cst) != 0) {
      if (!node_->in_process() && soon.passed()) return;
      std::this_thread::yield();
    }
  }
}

int Board::revoker(std::uint64_t step) const {
  for (int rank = 0; rank < ranks_; ++rank) {
    if (rank != me_ && revoked(rank, step)) return rank;
  }
  return -1;
}

Status Board::check_kept(std::uint64_t step) {
  const int rank = revoker(step);
  return rank < 0 ? Status() : wait_failure(rank);
}

Status Board::wait_failure(int rank) {
  return wait_until([] { return Pass::blocked; }, rank);
}

}  // namespace tutti::runtime
