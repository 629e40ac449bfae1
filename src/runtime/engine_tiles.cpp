#include "runtime/engine_tiles.h"

#include <algorithm>
#include <optional>

#include "base/try.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

using device::Store;
using plan::Range;

namespace {

// Up to here every rank reduces all of the message: no results to collect, n - 1 times the reading.
constexpr std::int64_t short_bytes(int ranks) {
  constexpr std::int64_t kMost = 16 << 10;
  return std::min(kMost, 2 * kMost / ranks);
}

// And up to here when all lend their send buffers, which are read from here on.
constexpr std::int64_t kLentBytes = 8 << 10;
constexpr std::int64_t most_lent_bytes(int ranks) {
  constexpr auto kMost = static_cast<std::int64_t>(kTileBytes);
  return kMost / ((ranks - 1) * (ranks - 1));
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
  tiles_ = (bytes + tile_bytes - 1) / tile_bytes;
  lends_ = false;
  const bool all = operation.collective == Collective::all_reduce;
  short_ = all && bytes <= short_bytes(board_.ranks());
  if (all && bytes >= kLentBytes && bytes <= most_lent_bytes(board_.ranks())) {
    // What is overwritten must not be read meanwhile. And it was written by this core, where the
    // kernel's copy is far slower than ours: 3 GB/s in place of 10.
    lends_ = reach_.processes_open() && !operation.in_place;
  }
  step_ = board_.take_steps(1);
  Status status = run_tiles(operation);
  if (!status.ok()) {
    board_.revoke(step_);
    return status;
  }
  before_ += static_cast<std::uint64_t>(tiles_);
  return {};
}

Status Tiles::run_tiles(const Operation& operation) {
  if (lends_) {
    say_staged(0, operation);  // the only tile
  } else {
    stage(operation, 0);
  }
  for (std::int64_t tile = 0; tile < tiles_; ++tile) {
    if (!lends_ && tile + 1 < tiles_) {
      // The second tile's stage may be that of a short operation just before, which ends for each
      // rank when it has read.
      if (tile == 0) TUTTI_TRY(wait_reduced(-1));
      stage(operation, tile + 1);
    }
    TUTTI_TRY(wait_staged(tile));
    if (tile == 0 && (short_ || all_lend())) return reduce_whole(operation);
    TUTTI_TRY(reduce_chunk(operation, tile));
    say_reduced(tile);
    TUTTI_TRY(wait_reduced(tile));
    if (keeps(operation)) collect(operation, tile);
  }
  return {};
}

bool Tiles::all_lend() {
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (staged(board_.area(rank), 0).place.process == 0) return false;
  }
  return true;
}

Status Tiles::reduce_whole(const Operation& operation) {
  const std::int64_t block = read_bytes(board_.ranks());
  for (std::int64_t done = 0; done < operation.bytes(); done += block) {
    const std::int64_t bytes = std::min(block, operation.bytes() - done);
    TUTTI_TRY(find_sources(operation, 0, done, done, bytes));
    TUTTI_TRY(reduce_sources(operation, at(operation.recv, done), bytes, store_));
  }
  say_reduced(tiles_ - 1);
  return lends_ ? wait_reduced(tiles_ - 1) : Status();
}

Status Tiles::wait_staged(std::int64_t tile) {
  TUTTI_TRY(board_.wait_all([this, tile](const EngineArea& area) {
    return staged(area, tile).tiles.load(std::memory_order_acquire) > number(tile);
  }));
  for (int rank = 0; tile == 0 && rank < board_.ranks(); ++rank) {
    TUTTI_TRY(board_.check(staged(board_.area(rank), 0).tag, rank));
  }
  return {};
}

Status Tiles::wait_reduced(std::int64_t tile) {
  return board_.wait_all([count = number(tile) + 1](const EngineArea& area) {
    return area.reduced.value.load(std::memory_order_acquire) >= count;
  });
}

void Tiles::say_staged(std::int64_t tile, const Operation& operation) {
  Staged& own = board_.mine().staged[number(tile) % 2];
  own.tag = board_.tag();
  own.place = lends_ ? reach_.in_process(operation.send) : ProcessPlace();
  own.tiles.store(number(tile) + 1, std::memory_order_release);
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
  const Range own = short_ ? Range{whole.count, 0} : chunk(whole, board_.rank());
  std::byte* const buffer = board_.mine().stage[number(tile) % 2];
  const std::byte* const send = at(operation.send, whole.begin * element_bytes);
  copy_block(buffer, send, own.begin * element_bytes, Store::cached);
  copy_block(at(buffer, own.end() * element_bytes), at(send, own.end() * element_bytes),
             (whole.count - own.end()) * element_bytes, Store::cached);
  say_staged(tile, operation);
}

Status Tiles::find_sources(const Operation& operation, std::int64_t tile, std::int64_t offset,
                           std::int64_t in_stage, std::int64_t bytes) {
  bool lent = false;
  beside_ = false;
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    const auto index = static_cast<std::size_t>(rank);
    // Where there are more tiles nobody lends, and the first one's line is soon rewritten.
    const ProcessPlace place = tile == 0 ? staged(board_.area(rank), 0).place : ProcessPlace();
    const void*& source = sources_[index];
    if (rank == board_.rank()) {
      source = at(operation.send, offset);
    } else if (place.process == 0) {
      source = board_.area(rank).stage[number(tile) % 2] + in_stage;
    } else if (const std::byte* const here = reach_.address(place); here != nullptr) {
      beside_ = true;
      source = here + offset;
    } else {
      lent = true;
      const auto block = static_cast<std::size_t>(read_bytes(board_.ranks()));
      if (scratch_.empty()) scratch_.resize(block * sources_.size());
      std::byte* const copy = scratch_.data() + index * block;
      TUTTI_TRY(reach_.take(rank, place, {offset, bytes}, copy));
      source = copy;
    }
  }
  return lent ? board_.check_kept(step_) : Status();
}

Status Tiles::reduce_sources(const Operation& operation, std::byte* to, std::int64_t bytes,
                             Store store) {
  {
    std::optional<Reading> reading;
    if (beside_) reading.emplace(board_.mine());
    if (!beside_ || board_.all_keep(step_)) {
      device::kernels(operation.type, operation.reduction.op())
          .reduce_many(to, sources_.data(), board_.ranks(),
                       static_cast<std::size_t>(bytes / operation.element_bytes()), board_.ranks(),
                       store);
      return {};
    }
  }
  return board_.check_kept(step_);
}

Status Tiles::reduce_chunk(const Operation& operation, std::int64_t tile) {
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  const Range own = chunk(whole, board_.rank());
  std::byte* const result = board_.mine().result[number(tile) % 2];
  const std::int64_t block = kEngineBlockBytes / element_bytes;
  for (std::int64_t done = 0; done < own.count; done += block) {
    const std::int64_t n = std::min(block, own.count - done);
    const std::int64_t in_tile = (own.begin + done) * element_bytes;
    const std::int64_t in_buffer = whole.begin * element_bytes + in_tile;
    TUTTI_TRY(find_sources(operation, tile, in_buffer, in_tile, n * element_bytes));
    std::byte* const reduced = at(result, done * element_bytes);
    TUTTI_TRY(reduce_sources(operation, reduced, n * element_bytes, Store::cached));
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
