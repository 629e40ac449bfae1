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

// What may be lent is one tile. Else two ranks have smaller ones: with 256 KiB of them 16 MiB take
// 2.57 ms, with 512 2.75. More ranks would have smaller chunks too, and wait more often.
std::int64_t tile_bytes(int ranks, std::int64_t bytes) {
  constexpr std::int64_t kChunk = 128 << 10;
  constexpr auto kMost = static_cast<std::int64_t>(kTileBytes);
  return bytes <= most_lent_bytes(ranks) ? kMost : std::min(kChunk * ranks, kMost);
}

}  // namespace

Tiles::Tiles(Board& board, Reach& reach, Crew& crew)
    : board_(board), reach_(reach), crew_(crew), sources_(board, reach, crew) {
  for (Class& one : staging_) one.trial = Trial(Way::staged);
}

// Tile t of the operation is tile before_ + t of the engine.
Status Tiles::run(const Operation& operation) {
  const std::int64_t bytes = operation.bytes();
  alignment_ = kEngineAlignmentBytes / operation.element_bytes();
  store_ = bytes >= kEngineStreamingBytes && !operation.in_place ? Store::streaming : Store::cached;
  const std::int64_t most = tile_bytes(board_.ranks(), bytes);
  tiles_ = (bytes + most - 1) / most;
  const bool all = operation.collective == Collective::all_reduce;
  short_ = all && bytes <= short_bytes(board_.ranks());
  choose(operation);
  step_ = board_.take_steps(1);
  waited_ = 0;
  const std::int64_t start = class_ != nullptr ? ticks() : 0;
  Status status = run_tiles(operation);
  if (!status.ok()) {
    board_.revoke(step_);
    return status;
  }
  if (class_ != nullptr) learn(ticks() - start - waited_, bytes);
  before_ += static_cast<std::uint64_t>(tiles_);
  return {};
}

void Tiles::choose(const Operation& operation) {
  const std::int64_t bytes = operation.bytes();
  const bool all = operation.collective == Collective::all_reduce;
  const bool may = all && may_lend(bytes);
  class_ = nullptr;
  way_ = may ? Way::lent : Way::staged;
  if (all && bytes >= kLentBytes && !reach_.in_process()) {
    class_ = &(may ? lending_ : staging_)[size_class(bytes)];
    way_ = class_->trial.next(size_class(bytes));
  }
  // What is overwritten must not be read meanwhile.
  lends_ = way_ == Way::lent && !operation.in_place;
}

bool Tiles::may_lend(std::int64_t bytes) const {
  return bytes >= kLentBytes && bytes <= most_lent_bytes(board_.ranks()) &&
         reach_.processes_open() && reach_.worth_lending();
}

void Tiles::learn(std::int64_t took, std::int64_t bytes) {
  // All of them in place: what none may lend was staged, whatever the way.
  if (way_ == Way::lent && lenders_ == 0) return;
  float& cost = class_->costs[index_of(way_)];
  cost = least(cost, static_cast<float>(took) / static_cast<float>(bytes));
}

// By the slowest. All ranks read the same numbers here, and had the same before.
void Tiles::weigh() {
  WayCosts slowest{};
  for (std::size_t way = 0; way < slowest.size(); ++way) {
    for (int rank = 0; rank < board_.ranks(); ++rank) {
      const float theirs = staged(board_.area(rank), 0).costs[way];
      if (theirs == 0) {
        slowest[way] = 0;
        break;
      }
      slowest[way] = std::max(slowest[way], theirs);
    }
  }
  class_->trial.weigh(slowest);
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
    if (tile == 0 && class_ != nullptr) weigh();
    if (tile == 0) lenders_ = count_lenders();
    if (tile == 0 && (short_ || lenders_ == board_.ranks())) return reduce_whole(operation);
    TUTTI_TRY(reduce_chunk(operation, tile));
    say_reduced(tile);
    TUTTI_TRY(wait_reduced(tile));
    if (keeps(operation)) collect(operation, tile);
  }
  return {};
}

int Tiles::count_lenders() {
  int lenders = 0;
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    lenders += staged(board_.area(rank), 0).place.process == 0 ? 0 : 1;
  }
  return lenders;
}

Status Tiles::reduce_whole(const Operation& operation) {
  const Part whole{.bytes = operation.bytes()};
  auto* const recv = static_cast<std::byte*>(operation.recv);
  TUTTI_TRY(reduce(operation, whole, read_bytes(board_.ranks()), recv, store_, nullptr));
  say_reduced(tiles_ - 1);
  if (!lends_) return {};
  // This wait is not what other ranks cost, but what this way does: it counts.
  const std::int64_t waited = waited_;
  TUTTI_TRY(wait_reduced(tiles_ - 1));
  waited_ = waited;
  return {};
}

template <typename Ready>
Status Tiles::wait_all(Ready&& ready) {
  if (class_ == nullptr) return board_.wait_all(ready);
  const std::int64_t start = ticks();
  Status status = board_.wait_all(ready);
  waited_ += ticks() - start;
  return status;
}

Status Tiles::wait_staged(std::int64_t tile) {
  TUTTI_TRY(wait_all([this, tile](const EngineArea& area) {
    return staged(area, tile).tiles.load(std::memory_order_acquire) > number(tile);
  }));
  for (int rank = 0; tile == 0 && rank < board_.ranks(); ++rank) {
    TUTTI_TRY(board_.check(staged(board_.area(rank), 0).tag, rank));
  }
  return {};
}

Status Tiles::wait_reduced(std::int64_t tile) {
  return wait_all([count = number(tile) + 1](const EngineArea& area) {
    return area.reduced.value.load(std::memory_order_acquire) >= count;
  });
}

void Tiles::say_staged(std::int64_t tile, const Operation& operation) {
  Staged& own = board_.mine().staged[number(tile) % 2];
  own.tag = board_.tag();
  own.place = lends_ ? reach_.in_process(operation.send) : ProcessPlace();
  if (class_ != nullptr) {
    own.costs = class_->costs;
  }
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
  const Store store = shared_store();
  copy_block(crew_, buffer, send, own.begin * element_bytes, store);
  copy_block(crew_, at(buffer, own.end() * element_bytes), at(send, own.end() * element_bytes),
             (whole.count - own.end()) * element_bytes, store);
  say_staged(tile, operation);
}

void Tiles::look(std::int64_t tile) {
  lent_ = beside_ = false;
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    const ProcessPlace place = lent_by(rank, tile);
    if (rank == board_.rank() || place.process == 0) continue;
    const bool here = reach_.address(place) != nullptr;
    beside_ = beside_ || here;
    lent_ = lent_ || !here;
  }
  if (lent_) sources_.prepare();
}

bool Tiles::find_sources(const Operation& operation, const Part& part, int thread) {
  const std::span<const void*> sources = sources_.of(thread);
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    const ProcessPlace place = lent_by(rank, part.tile);
    const void*& source = sources[static_cast<std::size_t>(rank)];
    if (rank == board_.rank()) {
      source = at(operation.send, part.offset);
    } else if (place.process == 0) {
      source = board_.area(rank).stage[number(part.tile) % 2] + part.in_stage;
    } else if (const std::byte* const here = reach_.address(place); here != nullptr) {
      source = here + part.offset;
    } else {
      source = sources_.read(thread, rank, place, {part.offset, part.bytes});
      if (source == nullptr) return false;
    }
  }
  return true;
}

Status Tiles::reduce(const Operation& operation, const Part& part, std::int64_t block,
                     std::byte* to, Store store, std::byte* copy) {
  const device::Kernels& kernels = device::kernels(operation.type, operation.reduction.op());
  const int ranks = board_.ranks();
  const auto reduce_some = [&](int thread, std::int64_t begin, std::int64_t bytes) {
    for (const std::int64_t end = begin + bytes; begin < end; begin += block) {
      const std::int64_t n = std::min(block, end - begin);
      const Part some{part.tile, part.offset + begin, part.in_stage + begin, n};
      if (!find_sources(operation, some, thread)) return;
      const void* const* const sources = sources_.of(thread).data();
      const auto count = static_cast<std::size_t>(n / operation.element_bytes());
      if (copy != nullptr && store == Store::streaming) {
        kernels.reduce_many(copy + begin, sources, ranks, count, ranks, Store::cached);
        copy_block(to + begin, copy + begin, n, store);
        continue;
      }
      if (copy != nullptr && store_ == Store::streaming) {
        kernels.reduce_many_twice(to + begin, copy + begin, sources, ranks, count, ranks);
        continue;
      }
      kernels.reduce_many(to + begin, sources, ranks, count, ranks, store);
      if (copy != nullptr) copy_block(copy + begin, to + begin, n, Store::cached);
    }
  };
  look(part.tile);
  {
    std::optional<Reading> reading;
    if (beside_) reading.emplace(board_.mine());
    if (!beside_ || board_.all_keep(step_)) {
      crew_.divide(part.bytes, reduce_share_bytes(ranks), reduce_some);
    }
  }
  TUTTI_TRY(sources_.failure());
  return lent_ || beside_ ? board_.check_kept(step_) : Status();
}

Status Tiles::reduce_chunk(const Operation& operation, std::int64_t tile) {
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  const Range own = chunk(whole, board_.rank());
  const std::int64_t in_tile = own.begin * element_bytes;
  const std::int64_t offset = whole.begin * element_bytes + in_tile;
  std::byte* const result = board_.mine().result[number(tile) % 2];
  const Part part{tile, offset, in_tile, own.count * element_bytes};
  // Past the cache few long blocks take less time than many short ones, which all end with a fence
  // (16 MiB of two ranks, in blocks of 16 KiB 2.75 ms, of a whole chunk 2.56). No longer than what
  // is read at a time of those that lend, where others do not.
  return reduce(operation, part, read_bytes(board_.ranks()), result, shared_store(),
                keeps(operation) ? at(operation.recv, offset) : nullptr);
}

// All chunks but the own, which follow each other in the tile: a share may be of several.
void Tiles::collect(const Operation& operation, std::int64_t tile) {
  const std::int64_t element_bytes = operation.element_bytes();
  const Range whole = range(operation, tile);
  std::byte* const recv = at(operation.recv, whole.begin * element_bytes);
  const auto collect_some = [&](int, std::int64_t begin, std::int64_t bytes) {
    // Without other threads: starting behind oneself spreads the readers over the results.
    for (int i = 1; i < board_.ranks(); ++i) {
      const int rank = (board_.rank() + i) % board_.ranks();
      const Range theirs = chunk(whole, rank);
      const std::int64_t from = theirs.begin * element_bytes;
      const std::int64_t first = std::max(begin, from);
      const std::int64_t last = std::min(begin + bytes, theirs.end() * element_bytes);
      if (first >= last) continue;
      copy_block(recv + first, board_.area(rank).result[number(tile) % 2] + (first - from),
                 last - first, store_);
    }
  };
  crew_.divide(whole.count * element_bytes, kCopyShareBytes, collect_some);
}

}  // namespace tutti::runtime
