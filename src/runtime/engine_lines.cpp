#include "runtime/engine_lines.h"

#include <cstring>

#include "base/try.h"
#include "device/reduce.h"
#include "plan/layout.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

namespace {

// One word is the most frequent message of all, and a call of memcpy() costs as much as the rest.
void copy_few(void* dst, const void* src, std::int64_t bytes) {
  if (bytes == sizeof(std::uint64_t)) {
    std::memcpy(dst, src, sizeof(std::uint64_t));
  } else {
    std::memcpy(dst, src, static_cast<std::size_t>(bytes));
  }
}

}  // namespace

Lines::Lines(Board& board) : board_(board), sources_(static_cast<std::size_t>(board.ranks())) {}

bool Lines::fit(const Operation& operation, int ranks) {
  const std::int64_t bytes = operation.bytes();
  if (operation.uneven || bytes > static_cast<std::int64_t>(kInlineBytes) ||
      operation.reduction.factor_kind() != Reduction::Factor::none) {
    return false;
  }
  return sends_one_block(operation.collective) ||
         bytes * (ranks - 1) <= static_cast<std::int64_t>(kInlineBytes);
}

Status Lines::run(const Operation& operation) {
  roles_ = Roles(operation, board_.rank());
  const std::uint64_t step = board_.take_steps(1);
  if (roles_.sends) TUTTI_TRY(put(operation, step));
  keep_own(operation);
  if (roles_.receives) {
    TUTTI_TRY(wait(step));
    take(operation, step);
  }
  return {};
}

Status Lines::put(const Operation& operation, std::uint64_t step) {
  TUTTI_TRY(board_.claim(step, /*slot=*/false));
  std::byte* to = board_.mine().line_of(step).data;
  const std::int64_t bytes = operation.bytes();
  if (roles_.one_block) {
    copy_few(to, operation.send, bytes);
  } else {
    for (int rank = 0; rank < board_.ranks(); ++rank) {
      if (rank == board_.rank()) continue;
      copy_few(to, at(operation.send, rank * bytes), bytes);
      to += bytes;
    }
  }
  board_.publish(step, Where::line);
  return {};
}

// What a rank sends to itself.
void Lines::keep_own(const Operation& operation) const {
  if (plan::reduces(operation.collective) || operation.in_place || operation.send == nullptr ||
      operation.recv == nullptr || operation.send == operation.recv) {
    return;
  }
  const std::int64_t own = board_.rank() * operation.bytes();
  copy_few(at(operation.recv, roles_.fills_blocks ? own : 0),
           at(operation.send, roles_.one_block ? 0 : own), operation.bytes());
}

Status Lines::wait(std::uint64_t step) {
  if (roles_.sender < 0 && roles_.receiver < 0) return board_.wait_everyone(step);
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (roles_.sender >= 0 ? rank != roles_.sender : rank == board_.rank()) continue;
    TUTTI_TRY(board_.wait_in_stream(rank, step));
    TUTTI_TRY(board_.check(board_.line(rank, step).tag, rank));
  }
  return {};
}

void Lines::take(const Operation& operation, std::uint64_t step) {
  if (plan::reduces(operation.collective)) return reduce(operation, step);
  if (roles_.sender >= 0) return take_from(operation, step, roles_.sender);
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (rank != board_.rank()) take_from(operation, step, rank);
  }
}

void Lines::take_from(const Operation& operation, std::uint64_t step, int sender) const {
  const std::int64_t bytes = operation.bytes();
  copy_few(at(operation.recv, roles_.fills_blocks ? sender * bytes : 0),
           posted(operation, step, sender), bytes);
}

void Lines::reduce(const Operation& operation, std::uint64_t step) {
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    const bool own = rank == board_.rank();
    sources_[static_cast<std::size_t>(rank)] =
        own ? at(operation.send, roles_.one_block ? 0 : rank * operation.bytes())
            : posted(operation, step, rank);
  }
  device::kernels(operation.type, operation.reduction.op())
      .reduce_many(operation.recv, sources_.data(), board_.ranks(),
                   static_cast<std::size_t>(operation.count), board_.ranks(),
                   device::Store::cached);
}

const std::byte* Lines::posted(const Operation& operation, std::uint64_t step, int sender) const {
  const std::byte* const data = board_.line(sender, step).data;
  if (roles_.one_block) return data;
  const int me = board_.rank();
  return data + (me > sender ? me - 1 : me) * operation.bytes();  // its own block is not there
}

}  // namespace tutti::runtime
