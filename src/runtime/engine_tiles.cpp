#include "runtime/engine_tiles.h"

#include <algorithm>

#include "base/try.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

using device::Store;
using plan::Range;

namespace {

// Up to here every rank reduces all of the message: one flag round less, n - 1 times the reading.
constexpr std::int64_t whole_bytes(int ranks) {
  constexpr std::int64_t kBytes = 64 << 10;
  return std::min(kBytes, 2 * kBytes / ranks);
}

// Of each source, what is read from its process at a time: enough to be worth a system call, and
// all sources' within the second-level cache.
constexpr std::int64_t read_bytes(int ranks) {
  constexpr std::int64_t kAtOnce = 512 << 10;
  constexpr std::int64_t kLeast = 16 << 10;
  constexpr std::int64_t kMost = 64 << 10;
  return std::clamp(kAtOnce / (ranks - 1), kLeast, kMost) / kEngineAlignmentBytes *
         kEngineAlignmentBytes;
}

}  // namespace

Tiles::Tiles(Board& board, Reach& reach)
    : board_(board), reach_(reach), sources_(static_cast<std::size_t>(board.ranks())) {}

// Tile t of the operation is tile before_ + t of the engine.
Status Tiles::run(const Operation& operation) {
  const std::int64_t bytes = operation.bytes();
  constexpr auto tile_bytes = static_cast<std::int64_t>(kTileBytes);
  alignment_ = kEngineAlignmentBytes / operation.element_bytes();
  store_ = bytes >= kEngineStreamingBytes && !operation.in_place ? Store::streaming : Store::cached;
  TUTTI_TRY_ASSIGN(in_place_, reach_.processes_open());
  block_bytes_ = in_place_ ? read_bytes(board_.ranks()) : kEngineBlockBytes;
  const bool whole =
      operation.collective == Collective::all_reduce && bytes <= whole_bytes(board_.ranks());
  tiles_ = whole ? 1 : (bytes + tile_bytes - 1) / tile_bytes;
  step_ = board_.take_steps(1);
  Status status = whole ? run_whole(operation) : run_chunks(operation);
  if (!status.ok()) {
    board_.revoke(step_);
    return status;
  }
  before_ += static_cast<std::uint64_t>(tiles_);
  return {};
}

Status Tiles::run_whole(const Operation& operation) {
  if (!in_place_) {
    copy_block(board_.mine().stage[number(0) % 2], operation.send, operation.bytes(),
               Store::cached);
  }
  say_staged(1, operation);
  TUTTI_TRY(wait_staged(0));
  TUTTI_TRY(find_sources(operation, 0, 0, 0, operation.bytes(), /*copies=*/true));
  say_reduced(0);
  // The result goes where others may still be reading.
  if (in_place_ && operation.in_place) TUTTI_TRY(wait_reduced(0));
  device::kernels(operation.type, operation.reduction.op())
      .reduce_many(operation.recv, sources_.data(), board_.ranks(),
                   static_cast<std::size_t>(operation.count), board_.ranks(), Store::cached);
  if (in_place_ && !operation.in_place) TUTTI_TRY(wait_reduced(0));
  return {};
}

Status Tiles::run_chunks(const Operation& operation) {
  if (in_place_) {
    say_staged(tiles_, operation);
  } else {
    stage(operation, 0);
  }
  for (std::int64_t tile = 0; tile < tiles_; ++tile) {
    if (!in_place_ && tile + 1 < tiles_) stage(operation, tile + 1);
    if (!in_place_ || tile == 0) TUTTI_TRY(wait_staged(tile));
    TUTTI_TRY(reduce_chunk(operation, tile));
    say_reduced(tile);
    TUTTI_TRY(wait_reduced(tile));
    if (keeps(operation)) collect(operation, tile);
  }
  return {};
}

Status Tiles::wait_staged(std::int64_t tile) {
  TUTTI_TRY(board_.wait_all([count = number(tile) + 1](const EngineArea& area) {
    return area.staged.tiles.load(std::memory_order_acquire) >= count;
  }));
  for (int rank = 0; tile == 0 && rank < board_.ranks(); ++rank) {
    TUTTI_TRY(board_.check(board_.area(rank).staged.tag, rank));
  }
  return {};
}

Status Tiles::wait_reduced(std::int64_t tile) {
  return board_.wait_all([count = number(tile) + 1](const EngineArea& area) {
    return area.reduced.value.load(std::memory_order_acquire) >= count;
  });
}

void Tiles::say_staged(std::int64_t tiles, const Operation& operation) {
  Staged& staged = board_.mine().staged;
  staged.tag = board_.tag();
  if (in_place_) staged.place = reach_.in_process(operation.send);
  staged.tiles.store(number(tiles), std::memory_order_release);
  board_.ring();
}

void Tiles::say_reduced(std::int64_t tile) {
  board_.mine().reduced.value.store(number(tile) + 1, std::memory_order_release);
  board_.ring();
}

Range Tiles::range(const Operation& operation, std::int64_t tile) const {
  return plan::partition(operation.count, tiles_, alignment_, tile);
}

Range Tiles::chunk(const Range& tile, int rank) const {
  return plan::partition(tile.count, board_.ranks(), alignment_, rank);
}

void Tiles::stage(const Operation& operation, std::int64_t tile) {
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  // The own chunk is reduced straight from the send buffer.
  const Range own = chunk(whole, board_.rank());
  std::byte* const buffer = board_.mine().stage[number(tile) % 2];
  const std::byte* const send = at(operation.send, whole.begin * element_bytes);
  copy_block(buffer, send, own.begin * element_bytes, Store::cached);
  copy_block(at(buffer, own.end() * element_bytes), at(send, own.end() * element_bytes),
             (whole.count - own.end()) * element_bytes, Store::cached);
  say_staged(tile + 1, operation);
}

Status Tiles::find_sources(const Operation& operation, std::int64_t tile, std::int64_t offset,
                           std::int64_t in_stage, std::int64_t bytes, bool copies) {
  const auto read = static_cast<std::size_t>(in_place_ ? bytes : 0);
  const std::size_t needed = read * sources_.size();
  if (scratch_.size() < needed) scratch_.resize(needed);
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    const auto index = static_cast<std::size_t>(rank);
    const EngineArea& theirs = board_.area(rank);
    const void*& source = sources_[index];
    if (rank == board_.rank()) {
      source = at(operation.send, offset);
    } else if (!in_place_) {
      source = theirs.stage[number(tile) % 2] + in_stage;
    } else if (const std::byte* const here = reach_.address(theirs.staged.place);
               here != nullptr && !copies) {
      source = here + offset;
    } else {
      std::byte* const copy = scratch_.data() + index * read;
      TUTTI_TRY(reach_.read(rank, theirs.staged.place, {offset, bytes}, copy));
      source = copy;
    }
  }
  return in_place_ ? board_.check_kept(step_) : Status();
}

Status Tiles::reduce_chunk(const Operation& operation, std::int64_t tile) {
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  const Range own = chunk(whole, board_.rank());
  const device::Kernels& kernels = device::kernels(operation.type, operation.reduction.op());
  std::byte* const result = board_.mine().result[number(tile) % 2];
  const std::int64_t block = block_bytes_ / element_bytes;
  for (std::int64_t done = 0; done < own.count; done += block) {
    const std::int64_t n = std::min(block, own.count - done);
    const std::int64_t in_tile = (own.begin + done) * element_bytes;
    const std::int64_t in_buffer = whole.begin * element_bytes + in_tile;
    TUTTI_TRY(find_sources(operation, tile, in_buffer, in_tile, n * element_bytes,
                           /*copies=*/false));
    std::byte* const reduced = at(result, done * element_bytes);
    kernels.reduce_many(reduced, sources_.data(), board_.ranks(), static_cast<std::size_t>(n),
                        board_.ranks(), Store::cached);
    if (keeps(operation)) {
      copy_block(at(operation.recv, in_buffer), reduced, n * element_bytes, store_);
    }
  }
  return {};
}

void Tiles::collect(const Operation& operation, std::int64_t tile) {
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  // Starting behind oneself spreads the readers over the results.
  for (int i = 1; i < board_.ranks(); ++i) {
    const int rank = (board_.rank() + i) % board_.ranks();
    const Range theirs = chunk(whole, rank);
    copy_block(at(operation.recv, (whole.begin + theirs.begin) * element_bytes),
               board_.area(rank).result[number(tile) % 2], theirs.count * element_bytes, store_);
  }
}

}  // namespace tutti::runtime
