#include "runtime/engine_tiles.h"

#include <algorithm>

#include "base/try.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

using device::Store;
using plan::Range;

Tiles::Tiles(Board& board) : board_(board), sources_(static_cast<std::size_t>(board.ranks())) {}

// Tile t of the operation is tile before_ + t of the engine.
Status Tiles::run(const Operation& operation) {
  const std::int64_t bytes = operation.bytes();
  constexpr auto tile_bytes = static_cast<std::int64_t>(kTileBytes);
  alignment_ = kEngineAlignmentBytes / operation.element_bytes();
  tiles_ = (bytes + tile_bytes - 1) / tile_bytes;
  store_ = bytes >= kEngineStreamingBytes && !operation.in_place ? Store::streaming : Store::cached;

  const auto reached = [this](std::int64_t tile) {
    return before_ + static_cast<std::uint64_t>(tile) + 1;
  };
  stage(operation, 0);
  for (std::int64_t tile = 0; tile < tiles_; ++tile) {
    if (tile + 1 < tiles_) stage(operation, tile + 1);
    TUTTI_TRY(board_.wait_all([count = reached(tile)](const EngineArea& area) {
      return area.staged.value.load(std::memory_order_acquire) >= count;
    }));
    for (int rank = 0; tile == 0 && rank < board_.ranks(); ++rank) {
      TUTTI_TRY(board_.check(board_.area(rank).staged.tag, rank));
    }
    reduce_chunk(operation, tile);
    TUTTI_TRY(board_.wait_all([count = reached(tile)](const EngineArea& area) {
      return area.reduced.value.load(std::memory_order_acquire) >= count;
    }));
    if (keeps(operation)) collect(operation, tile);
  }
  before_ += static_cast<std::uint64_t>(tiles_);
  return {};
}

Range Tiles::range(const Operation& operation, std::int64_t tile) const {
  return plan::partition(operation.count, tiles_, alignment_, tile);
}

Range Tiles::chunk(const Range& tile, int rank) const {
  return plan::partition(tile.count, board_.ranks(), alignment_, rank);
}

void Tiles::stage(const Operation& operation, std::int64_t tile) {
  const std::uint64_t number = before_ + static_cast<std::uint64_t>(tile);
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  // The own chunk is reduced straight from the send buffer.
  const Range own = chunk(whole, board_.rank());
  EngineArea& mine = board_.mine();
  std::byte* const buffer = mine.stage[number % 2];
  const std::byte* const send = at(operation.send, whole.begin * element_bytes);
  copy_block(buffer, send, own.begin * element_bytes, Store::cached);
  copy_block(at(buffer, own.end() * element_bytes), at(send, own.end() * element_bytes),
             (whole.count - own.end()) * element_bytes, Store::cached);
  if (tile == 0) mine.staged.tag = board_.tag();
  mine.staged.value.store(number + 1, std::memory_order_release);
  board_.ring();
}

void Tiles::reduce_chunk(const Operation& operation, std::int64_t tile) {
  const std::uint64_t number = before_ + static_cast<std::uint64_t>(tile);
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  const Range own = chunk(whole, board_.rank());
  const device::Kernels& kernels = device::kernels(operation.type, operation.reduction.op());
  EngineArea& mine = board_.mine();
  std::byte* const result = mine.result[number % 2];
  const std::int64_t block = kEngineBlockBytes / element_bytes;
  for (std::int64_t done = 0; done < own.count; done += block) {
    const std::int64_t n = std::min(block, own.count - done);
    const std::int64_t in_tile = (own.begin + done) * element_bytes;
    const std::int64_t in_buffer = whole.begin * element_bytes + in_tile;
    for (int rank = 0; rank < board_.ranks(); ++rank) {
      sources_[static_cast<std::size_t>(rank)] = at(board_.area(rank).stage[number % 2], in_tile);
    }
    sources_[static_cast<std::size_t>(board_.rank())] = at(operation.send, in_buffer);
    std::byte* const reduced = at(result, done * element_bytes);
    kernels.reduce_many(reduced, sources_.data(), board_.ranks(), static_cast<std::size_t>(n),
                        board_.ranks(), Store::cached);
    if (keeps(operation)) {
      copy_block(at(operation.recv, in_buffer), reduced, n * element_bytes, store_);
    }
  }
  mine.reduced.value.store(number + 1, std::memory_order_release);
  board_.ring();
}

void Tiles::collect(const Operation& operation, std::int64_t tile) {
  const std::uint64_t number = before_ + static_cast<std::uint64_t>(tile);
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  // Starting behind oneself spreads the readers over the results.
  for (int i = 1; i < board_.ranks(); ++i) {
    const int rank = (board_.rank() + i) % board_.ranks();
    const Range theirs = chunk(whole, rank);
    copy_block(at(operation.recv, (whole.begin + theirs.begin) * element_bytes),
               board_.area(rank).result[number % 2], theirs.count * element_bytes, store_);
  }
}

}  // namespace tutti::runtime
