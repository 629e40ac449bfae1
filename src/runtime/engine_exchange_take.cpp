// The receiving half of Exchange.
#include <algorithm>
#include <cstring>
#include <optional>

#include "base/try.h"
#include "runtime/engine_copy.h"
#include "runtime/engine_exchange.h"

namespace tutti::runtime {

// Looks at what a rank posted first. Where its blocks lie, only the table knows.
Status Exchange::open(int sender) {
  Sender& from = senders_[static_cast<std::size_t>(sender)];
  if (from.open) return {};
  TUTTI_TRY(board_.wait(sender, first_step_));
  const PostLine& line = board_.line(sender, first_step_);
  TUTTI_TRY(board_.check(line.tag, sender));
  from.open = true;
  from.staged = line.where != Where::heap && line.where != Where::process;
  from.streamed = line.streamed;
  const std::int64_t bytes = flow_.in[static_cast<std::size_t>(sender)].bytes;
  from.block = {flow_.one_block ? 0 : board_.rank() * bytes, bytes};
  if (flow_.told) read_table(sender);
  staged_ = staged_ || from.staged;
  if (from.staged) return {};
  outside_ = true;
  from.is_mapped = line.where == Where::heap;
  if (from.is_mapped) {
    TUTTI_TRY_ASSIGN(from.base, reach_.map(sender, read_line<transport::HeapPlace>(line)));
  } else {
    from.place = read_line<ProcessPlace>(line);
    from.base = reach_.address(from.place);
    beside_ = beside_ || from.base != nullptr;
  }
  return {};
}

void Exchange::read_table(int sender) {
  const std::byte* const table = board_.data(sender, first_step_);
  Sender& from = senders_[static_cast<std::size_t>(sender)];
  std::memcpy(&from.block, table + static_cast<std::size_t>(board_.rank()) * sizeof(Block),
              sizeof(Block));
}

Status Exchange::take(const Operation& operation, std::int64_t piece) {
  // Starting behind oneself spreads the readers over the senders.
  for (int i = 1; i < board_.ranks(); ++i) {
    const int sender = (board_.rank() + i) % board_.ranks();
    if (!waits_for(sender)) continue;
    if (piece == 0) TUTTI_TRY(open(sender));
    TUTTI_TRY(take_block(operation, sender, piece));
  }
  return {};
}

Status Exchange::take_block(const Operation& operation, int sender, std::int64_t piece) {
  Sender& from = senders_[static_cast<std::size_t>(sender)];
  if (!from.staged && !trades_) {
    // At once: a system call for all of it.
    return piece == 0 ? read_outside(operation, sender, {0, from.block.bytes}) : Status();
  }
  const std::int64_t begin = piece * piece_bytes_;
  const std::int64_t bytes = part(from.block.bytes, piece);
  if (bytes <= 0) return {};
  // Where blocks are traded in place, this piece of this rank's was posted already, and maybe no
  // more than the next.
  if (!from.staged) return read_outside(operation, sender, {begin, bytes});
  if (piece > 0) TUTTI_TRY(board_.wait(sender, step(piece)));
  const std::int64_t start = learns_ ? ticks() : 0;
  copy_block(at(operation.recv, flow_.in[static_cast<std::size_t>(sender)].offset + begin),
             board_.data(sender, step(piece)) + place_in_post(sender, board_.rank()), bytes,
             store_);
  if (learns_) from.took += ticks() - start;
  return {};
}

// What lies outside the slots.
Status Exchange::read_outside(const Operation& operation, int sender, const Block& of_block) {
  const auto index = static_cast<std::size_t>(sender);
  Sender& from = senders_[index];
  const Block block{from.block.offset + of_block.offset, of_block.bytes};
  std::byte* const to = at(operation.recv, flow_.in[index].offset + of_block.offset);
  const std::int64_t start = learns_ ? ticks() : 0;
  if (from.base != nullptr) {
    const Reading reading(board_.mine());
    if (!board_.revoked(sender, first_step_)) {
      copy_block(crew_, to, from.base + block.offset, block.bytes, store_);
    }
  } else {
    TUTTI_TRY(reach_.take(sender, from.place, block, to));
  }
  if (learns_) from.took += ticks() - start;
  // A sender that failed has told everybody why.
  return board_.revoked(sender, first_step_) ? board_.wait_failure(sender) : Status();
}

Status Exchange::reduce(const Operation& operation, std::int64_t piece) {
  const std::int64_t bytes = part(flow_.in[0].bytes, piece);
  if (bytes <= 0 && piece > 0) return {};
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (rank == board_.rank()) continue;
    if (piece == 0) {
      TUTTI_TRY(open(rank));
    } else if (senders_[static_cast<std::size_t>(rank)].staged) {
      TUTTI_TRY(board_.wait(rank, step(piece)));
    }
  }
  // What all ranks keep outside the slots is reduced at once.
  const bool at_once = outside_ && !staged_ && !scales_;
  if (at_once && piece > 0) return {};
  if (bytes <= 0) return {};
  const std::int64_t start = learns_ ? ticks() : 0;
  Status status =
      reduce_range(operation, piece * piece_bytes_, at_once ? flow_.in[0].bytes : bytes);
  if (learns_) share_out(ticks() - start);
  return status;
}

// What it took to reduce is what it took to take all their blocks, whichever way each went.
void Exchange::share_out(std::int64_t took) {
  for (Sender& from : senders_) from.took += took / (board_.ranks() - 1);
}

Status Exchange::reduce_range(const Operation& operation, std::int64_t begin, std::int64_t bytes) {
  const device::Kernels& kernels = device::kernels(operation.type, operation.reduction.op());
  const int ranks = board_.ranks();
  const std::int64_t block = outside_ ? read_bytes(ranks) : bytes;
  const auto reduce_some = [&](int thread, std::int64_t from, std::int64_t some) {
    const std::span<const void*> sources = sources_.of(thread);
    from += begin;
    for (const std::int64_t end = from + some; from < end; from += block) {
      const std::int64_t n = std::min(block, end - from);
      for (int rank = 0; rank < ranks; ++rank) {
        const void*& of_rank = sources[static_cast<std::size_t>(rank)];
        of_rank = source(operation, rank, from, n, thread);
        if (of_rank == nullptr) return;
      }
      kernels.reduce_many(at(operation.recv, from), sources.data(), ranks,
                          static_cast<std::size_t>(n / operation.element_bytes()), ranks, store_);
    }
  };
  if (outside_) sources_.prepare();
  {
    std::optional<Reading> reading;
    if (beside_) reading.emplace(board_.mine());
    if (!beside_ || board_.all_keep(first_step_)) {
      crew_.divide(bytes, reduce_share_bytes(ranks), reduce_some);
    }
  }
  if (!outside_) return {};
  TUTTI_TRY(sources_.failure());
  return board_.check_kept(first_step_);
}

const void* Exchange::source(const Operation& operation, int sender, std::int64_t begin,
                             std::int64_t bytes, int thread) {
  const bool own = sender == board_.rank();
  const auto index = static_cast<std::size_t>(sender);
  if (own && !scales_) {
    const Block& block = flow_.out[flow_.one_block ? 0 : index];
    return at(operation.send, block.offset + begin);
  }
  const Sender& from = senders_[index];
  if (!own && from.base != nullptr) return from.base + from.block.offset + begin;
  if (!own && !from.staged) {
    return sources_.read(thread, sender, from.place, {from.block.offset + begin, bytes});
  }
  const std::int64_t piece = begin / piece_bytes_;
  return board_.data(sender, step(piece)) + (begin - piece * piece_bytes_) +
         place_in_post(sender, board_.rank());
}

}  // namespace tutti::runtime
