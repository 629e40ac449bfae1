// The order of things, and the sending half.
#include "runtime/engine_exchange.h"

#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "plan/layout.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

namespace {

// A longer block that is reduced by the root alone is staged in any case by who has one thread, as
// the root mostly has then: the others' cores do part of the work. (Of two ranks, allocated: 16 MiB
// 1.65 ms, read by the root 1.85.)
constexpr std::int64_t kRootReduceBytes = 1 << 20;

BlockKind kind_of(Collective collective) {
  switch (collective) {
    case Collective::broadcast:
      return BlockKind::broadcast;
    case Collective::gather:
      return BlockKind::gather;
    case Collective::scatter:
      return BlockKind::scatter;
    case Collective::all_gather:
      return BlockKind::all_gather;
    case Collective::reduce:
      return BlockKind::reduce;
    case Collective::reduce_scatter:
      return BlockKind::reduce_scatter;
    default:
      return BlockKind::all_to_all;
  }
}

std::int64_t round_down(std::int64_t bytes) {
  return bytes / kEngineAlignmentBytes * kEngineAlignmentBytes;
}

}  // namespace

Exchange::Exchange(Board& board, Reach& reach, Crew& crew)
    : board_(board),
      reach_(reach),
      crew_(crew),
      senders_(static_cast<std::size_t>(board.ranks())),
      sources_(board, reach, crew) {}

Status Exchange::run(const Operation& operation) {
  if (const Shape shape(operation); operation.uneven || shape != shape_) {
    flow_.describe(operation, board_.rank(), board_.ranks());
    cut(operation);
    shape_ = shape;
  }
  outside_ = beside_ = staged_ = false;
  stage_took_ = kept_ = 0;
  learns_ = !trades_ && !scales_ && reach_.learns(flow_.largest, flow_.one_block);
  find_place(operation);
  first_step_ = board_.take_steps(pieces_);
  if (flow_.swaps()) board_.begin_swap();
  Status status = run_pieces(operation);
  // The caller has its buffers back when this returns.
  if (!status.ok() && place_.where != Where::slot) board_.revoke(step(pieces_ - 1));
  if (status.ok() && learns_) learn();
  return status;
}

void Exchange::cut(const Operation& operation) {
  const std::int64_t ranks = board_.ranks();
  reduces_ = plan::reduces(operation.collective);
  trades_ = operation.collective == Collective::all_to_all && operation.in_place;
  scales_ = operation.reduction.factor_kind() != Reduction::Factor::none;
  post_blocks_ = flow_.one_block ? 1 : scales_ ? ranks : ranks - 1;
  table_bytes_ = flow_.told ? ranks * static_cast<std::int64_t>(sizeof(Block)) : 0;
  piece_bytes_ = round_down((static_cast<std::int64_t>(kSlotBytes) - table_bytes_) / post_blocks_);
  pieces_ = std::max<std::int64_t>(1, (flow_.largest + piece_bytes_ - 1) / piece_bytes_);
  const std::int64_t blocks = plan::has_blocks(operation.collective) ? ranks : 1;
  store_ = flow_.largest * blocks >= kEngineStreamingBytes && !operation.in_place
               ? device::Store::streaming
               : device::Store::cached;
  describe_traffic(operation);
}

void Exchange::describe_traffic(const Operation& operation) {
  const int others = board_.ranks() - 1;
  traffic_ = {.bytes = flow_.own_largest, .both_ways = flow_.swaps()};
  traffic_.senders = flow_.sender >= 0 ? 1 : flow_.swaps() ? board_.ranks() : others;
  traffic_.receivers = flow_.receiver >= 0 ? 1 : flow_.swaps() ? board_.ranks() : others;
  traffic_.takes = flow_.sender >= 0 ? 1 : others;
  traffic_.keeps = !reduces_ && !operation.in_place && !flow_.swaps();
  traffic_.kind = kind_of(operation.collective);
}

Status Exchange::run_pieces(const Operation& operation) {
  TUTTI_TRY(post(operation, 0));
  const bool measures = learns_ && traffic_.keeps;
  const std::int64_t start = measures ? ticks() : 0;
  keep_own(operation);
  if (measures) kept_ = ticks() - start;
  if (flow_.receives) {
    for (int rank = 0; rank < board_.ranks(); ++rank) senders_[static_cast<std::size_t>(rank)] = {};
  }
  const std::int64_t ahead = reach_.pieces_ahead(flow_.one_block);
  std::int64_t posted = 1;
  for (std::int64_t piece = 0; piece < pieces_; ++piece) {
    const std::int64_t end = std::min(piece + 1 + ahead, pieces_);
    for (; posted < end; ++posted) TUTTI_TRY(post(operation, posted));
    if (!flow_.receives) continue;
    TUTTI_TRY(reduces_ ? reduce(operation, piece) : take(operation, piece));
    // In a swap nobody waits for this but who sees it in the next post.
    const bool in_next = flow_.swaps() && pieces_ == 1 && place_.where == Where::slot && !outside_;
    board_.consume(step(piece), in_next);
  }
  if (place_.where == Where::slot) {
    const std::int64_t bytes = post_bytes();
    const bool in_note = room_for(bytes, flow_.swaps()) == Where::swap;
    if (in_note) board_.fetch_ahead(first_step_, Where::swap, bytes);
    return {};
  }
  return board_.wait_consumed(step(pieces_ - 1), flow_.receiver);
}

std::int64_t Exchange::place_in_post(int sender, int receiver) const {
  if (flow_.one_block) return table_bytes_;
  const int index = !scales_ && receiver > sender ? receiver - 1 : receiver;
  return table_bytes_ + index * std::min(flow_.largest, piece_bytes_);
}

std::int64_t Exchange::part(std::int64_t block_bytes, std::int64_t piece) const {
  return std::min(piece_bytes_, block_bytes - piece * piece_bytes_);
}

void Exchange::find_place(const Operation& operation) {
  place_ = {};
  way_ = Way::staged;
  traffic_.allocated = false;
  // Blocks that are traded in place are overwritten before all have read them.
  if (!flow_.sends || scales_ || trades_) return;
  const std::int64_t longest = flow_.own_largest;
  const bool reduces_alone = operation.collective == Collective::reduce && crew_.threads() == 1;
  const bool too_long = reduces_alone && longest > kRootReduceBytes;
  if (!too_long && longest >= reach_.worth_mapping(flow_.one_block)) {
    if (const auto heap = reach_.find(operation.send, flow_.sent_bytes())) {
      choose_way_of_allocated();
      if (way_ == Way::lent) place_ = {.where = Where::heap, .heap = *heap, .process = {}};
      return;
    }
  }
  if (too_long && reach_.in_process()) return;
  choose_way_of_own();
  if (way_ == Way::lent) {
    place_ = {.where = Where::process, .heap = {}, .process = reach_.in_process(operation.send)};
  }
}

void Exchange::choose_way_of_allocated() {
  traffic_.allocated = true;
  const bool chooses = learns_ && reach_.learns(flow_.own_largest, flow_.one_block);
  way_ = chooses ? reach_.lending().next(traffic_, flow_.receiver) : Way::lent;
}

void Exchange::choose_way_of_own() {
  const bool may_be = reach_.lends(flow_.own_largest, flow_.one_block);
  // Who has to copy before it reduces has that done by the others, at the same time. (Of two ranks,
  // read and staged: reduce of 32 KiB 3.3 and 2.1 us, 512 KiB 60 and 34; reduce_scatter of 256 KiB
  // 62 and 36, 16 MiB 2.3 and 1.75 ms; of 4 ranks on 2 CPUs 5.5 and 4.2.)
  const bool stages = reduces_ && crew_.threads() == 1 && !reach_.in_process();
  if (may_be && reduces_ && !stages) {
    way_ = Way::lent;
  } else if (learns_ && reach_.learns(flow_.own_largest, flow_.one_block)) {
    way_ = reach_.lending().next(traffic_, flow_.receiver);
  } else {
    way_ = may_be && !reduces_ ? Way::lent : Way::staged;
  }
}

void Exchange::learn() {
  Lending& lending = reach_.lending();
  if (flow_.sends && reach_.learns(flow_.own_largest, flow_.one_block)) {
    if (traffic_.keeps) lending.kept(traffic_, kept_);
    if (place_.where == Where::slot) lending.staged(traffic_, way_, stage_took_);
  }
  if (!flow_.receives) return;
  for (const Sender& from : senders_) {
    // What is short tells little of long blocks.
    if (!from.open || !reach_.learns(from.block.bytes, flow_.one_block)) continue;
    Traffic taken = traffic_;
    taken.bytes = from.block.bytes;
    taken.allocated = from.is_mapped;
    const Way way = !from.staged ? Way::lent : from.streamed ? Way::streamed : Way::staged;
    lending.took(taken, way, from.took);
  }
}

Status Exchange::post(const Operation& operation, std::int64_t piece) {
  // Of other posts, this rank needs none in any case: said before its own, this wakes nobody twice.
  if (!flow_.receives) board_.consume(step(piece), /*quiet=*/true);
  if (flow_.sends && place_.where != Where::slot) {
    if (piece == 0) return post_place(step(0));
  } else if (flow_.sends || scales_) {
    if (piece == 0 || part(flow_.own_largest, piece) > 0) return post_data(operation, piece);
  }
  if (!flow_.receives) board_.ring();
  return {};
}

Status Exchange::post_place(std::uint64_t step) {
  TUTTI_TRY(board_.claim(step, table_bytes_ > 0 ? Where::slot : Where::line, table_bytes_));
  EngineArea& own = board_.mine();
  if (place_.where == Where::heap) {
    write_line(own.line_of(step), place_.heap);
  } else {
    write_line(own.line_of(step), place_.process);
  }
  if (table_bytes_ > 0) {
    std::memcpy(board_.room(board_.rank(), step, Where::slot), flow_.out.data(),
                static_cast<std::size_t>(table_bytes_));
  }
  board_.publish(step, place_.where);
  return {};
}

std::int64_t Exchange::post_bytes() const {
  return table_bytes_ + post_blocks_ * std::min(flow_.own_largest, piece_bytes_);
}

Status Exchange::post_data(const Operation& operation, std::int64_t piece) {
  const std::uint64_t at = step(piece);
  const std::int64_t bytes = post_bytes();
  const Where where = room_for(bytes, flow_.swaps());
  TUTTI_TRY(board_.claim(at, where, bytes));
  PostLine& line = board_.mine().line_of(at);
  line.streamed = way_ == Way::streamed;
  std::byte* const to = board_.room(board_.rank(), at, where);
  if (piece == 0 && table_bytes_ > 0) {
    std::memcpy(to, flow_.out.data(), static_cast<std::size_t>(table_bytes_));
  }
  const std::int64_t start = learns_ ? ticks() : 0;
  stage(operation, to, piece);
  if (learns_) stage_took_ += ticks() - start;
  if (flow_.sends) {
    board_.publish(at, where);
  } else {
    line.where = where;  // multiplied, for the root itself
  }
  return {};
}

void Exchange::stage(const Operation& operation, std::byte* to, std::int64_t piece) const {
  const auto* const send = static_cast<const std::byte*>(operation.send);
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (flow_.one_block ? rank > 0 : rank == board_.rank() && !scales_) continue;
    const Block& block = flow_.out[static_cast<std::size_t>(rank)];
    const std::int64_t bytes = part(block.bytes, piece);
    if (bytes <= 0) continue;
    std::byte* const dst = to + place_in_post(board_.rank(), rank);
    const std::byte* const src = send + block.offset + piece * piece_bytes_;
    if (scales_) {
      device::scale(operation.type, dst, src,
                    static_cast<std::size_t>(bytes / operation.element_bytes()),
                    operation.reduction);
    } else {
      copy_block(dst, src, bytes, store_of(way_));
    }
  }
}

// What a rank sends to itself.
void Exchange::keep_own(const Operation& operation) const {
  const auto self = static_cast<std::size_t>(board_.rank());
  if (reduces_ || operation.in_place || operation.send == nullptr || operation.recv == nullptr ||
      operation.send == operation.recv) {
    return;
  }
  const Block& from = flow_.one_block ? flow_.out[0] : flow_.out[self];
  copy_block(crew_, at(operation.recv, flow_.in[self].offset), at(operation.send, from.offset),
             from.bytes, store_);
}

}  // namespace tutti::runtime
