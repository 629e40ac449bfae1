#include "runtime/engine.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/try.h"
#include "plan/partition.h"
#include "runtime/tag.h"
#include "transport/doorbell.h"

namespace tutti::runtime {

using device::Store;
using plan::Range;
using transport::HeapPlace;

namespace {

std::byte* at(void* base, std::int64_t offset) {
  return static_cast<std::byte*>(base) + offset;
}
const std::byte* at(const void* base, std::int64_t offset) {
  return static_cast<const std::byte*>(base) + offset;
}

void copy(void* dst, const void* src, std::int64_t bytes, Store store = Store::cached) {
  device::copy(dst, src, static_cast<std::size_t>(bytes), store);
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(transport::Node& node, Waiter& waiter,
                                               Control& control) {
  std::unique_ptr<Engine> engine(new Engine(node, waiter, control));
  engine->me_ = node.local_rank();
  engine->ranks_ = static_cast<int>(node.ranks().size());
  for (int local = 0; local < engine->ranks_; ++local) {
    TUTTI_TRY_ASSIGN(const std::span<std::byte> area, node.engine_area(local));
    assert(area.size() >= sizeof(EngineArea));
    // The area is zero-filled memory: the initial state of every counter in it.
    engine->areas_.push_back(std::launder(reinterpret_cast<EngineArea*>(area.data())));
  }
  engine->sources_.resize(engine->areas_.size());
  engine->reached_.resize(engine->areas_.size());
  return engine;
}

Status Engine::run(const Operation& operation, const Call& call) {
  call_ = &call;
  tag_ = tag_of(call);
  switch (operation.collective) {
    case Collective::broadcast:
      return broadcast(operation);
    case Collective::barrier:
      return exchange_inline(operation);
    default:
      return all_reduce(operation);
  }
}

Status Engine::check_tag(std::uint64_t tag, int local_rank) {
  if (tag == tag_) [[likely]]
    return {};
  return control_.mismatched(*call_, node_.ranks()[static_cast<std::size_t>(local_rank)],
                             sequence_of_tag(tag, call_->sequence));
}

Status Engine::all_reduce(const Operation& operation) {
  const auto bytes = static_cast<std::size_t>(operation.bytes());
  if (bytes <= kInlineBytes) return exchange_inline(operation);
  // With more ranks everybody reads more in an exchange, and phases pay sooner.
  const std::size_t limit =
      std::min(kExchangeBytes, 2 * kExchangeBytes / static_cast<std::size_t>(ranks_));
  if (bytes <= limit) return exchange(operation);
  ++large_;
  Status status = all_reduce_large(operation);
  if (!status.ok()) leave(status);
  return status;
}

Status Engine::all_reduce_large(const Operation& operation) {
  TUTTI_TRY_ASSIGN(const bool direct, announce(operation));
  return direct ? all_reduce_direct(operation) : all_reduce_tiled(operation);
}

Status Engine::exchange_inline(const Operation& operation) {
  const std::uint64_t sequence = ++exchanges_;
  InlineLine& line = mine().exchange_line[sequence % 2];
  const auto bytes = static_cast<std::size_t>(operation.bytes());
  std::memcpy(line.data, operation.send, bytes);
  line.tag = tag_;
  line.sequence.store(sequence, std::memory_order_release);
  node_.ring_others();
  TUTTI_TRY(wait_all([sequence](const EngineArea& area) {
    return area.exchange_line[sequence % 2].sequence.load(std::memory_order_acquire) >= sequence;
  }));
  TUTTI_TRY(check_tags([sequence](const EngineArea& area) -> const InlineLine& {
    return area.exchange_line[sequence % 2];
  }));
  for (std::size_t local = 0; local < areas_.size(); ++local) {
    sources_[local] = areas_[local]->exchange_line[sequence % 2].data;
  }
  device::kernels(operation.type, operation.reduction.op())
      .reduce_many(operation.recv, sources_.data(), ranks_,
                   static_cast<std::size_t>(operation.count), ranks_, Store::cached);
  return {};
}

Status Engine::exchange(const Operation& operation) {
  const std::uint64_t sequence = ++exchanges_;
  EngineArea& own = mine();
  copy(own.exchange[sequence % 2], operation.send, operation.bytes());
  own.exchange_line[sequence % 2].tag = tag_;
  own.exchange_line[sequence % 2].sequence.store(sequence, std::memory_order_release);
  node_.ring_others();
  TUTTI_TRY(wait_all([sequence](const EngineArea& area) {
    return area.exchange_line[sequence % 2].sequence.load(std::memory_order_acquire) >= sequence;
  }));
  TUTTI_TRY(check_tags([sequence](const EngineArea& area) -> const InlineLine& {
    return area.exchange_line[sequence % 2];
  }));
  for (std::size_t local = 0; local < areas_.size(); ++local) {
    sources_[local] = areas_[local]->exchange[sequence % 2];
  }
  sources_[static_cast<std::size_t>(me_)] = operation.send;
  device::kernels(operation.type, operation.reduction.op())
      .reduce_many(operation.recv, sources_.data(), ranks_,
                   static_cast<std::size_t>(operation.count), ranks_, Store::cached);
  return {};
}

// Large all_reduce. Tile t of the operation is tile tiles_before_ + t of the engine.

Status Engine::all_reduce_tiled(const Operation& operation) {
  const auto element_bytes = static_cast<std::int64_t>(size_of(operation.type));
  const std::int64_t bytes = operation.bytes();
  constexpr auto tile_bytes = static_cast<std::int64_t>(kTileBytes);
  alignment_ = kEngineAlignmentBytes / element_bytes;
  tiles_ = (bytes + tile_bytes - 1) / tile_bytes;
  store_ = bytes >= kEngineStreamingBytes && !operation.in_place ? Store::streaming : Store::cached;

  const auto reached = [this](std::int64_t tile) {
    return tiles_before_ + static_cast<std::uint64_t>(tile) + 1;
  };
  stage(operation, 0);
  for (std::int64_t tile = 0; tile < tiles_; ++tile) {
    if (tile + 1 < tiles_) stage(operation, tile + 1);
    TUTTI_TRY(wait_all([count = reached(tile)](const EngineArea& area) {
      return area.staged.value.load(std::memory_order_acquire) >= count;
    }));
    if (tile == 0) {
      TUTTI_TRY(check_tags([](const EngineArea& area) -> const Counter& { return area.staged; }));
    }
    reduce_chunk(operation, tile);
    TUTTI_TRY(wait_all([count = reached(tile)](const EngineArea& area) {
      return area.reduced.value.load(std::memory_order_acquire) >= count;
    }));
    collect(operation, tile);
  }
  tiles_before_ += static_cast<std::uint64_t>(tiles_);
  return {};
}

void Engine::stage(const Operation& operation, std::int64_t tile) {
  const std::uint64_t number = tiles_before_ + static_cast<std::uint64_t>(tile);
  const auto element_bytes = static_cast<std::int64_t>(size_of(operation.type));
  const Range range = plan::partition(operation.count, tiles_, alignment_, tile);
  // The own chunk is reduced straight from the send buffer.
  const Range own = plan::partition(range.count, ranks_, alignment_, me_);
  std::byte* buffer = mine().stage[number % 2];
  const std::byte* send = at(operation.send, range.begin * element_bytes);
  copy(buffer, send, own.begin * element_bytes);
  copy(at(buffer, own.end() * element_bytes), at(send, own.end() * element_bytes),
       (range.count - own.end()) * element_bytes);
  if (tile == 0) mine().staged.tag = tag_;
  mine().staged.value.store(number + 1, std::memory_order_release);
  node_.ring_others();
}

void Engine::reduce_chunk(const Operation& operation, std::int64_t tile) {
  const std::uint64_t number = tiles_before_ + static_cast<std::uint64_t>(tile);
  const auto element_bytes = static_cast<std::int64_t>(size_of(operation.type));
  const Range range = plan::partition(operation.count, tiles_, alignment_, tile);
  const Range own = plan::partition(range.count, ranks_, alignment_, me_);
  const device::Kernels& kernels = device::kernels(operation.type, operation.reduction.op());
  std::byte* result = mine().result[number % 2];
  const std::int64_t block = kEngineBlockBytes / element_bytes;
  for (std::int64_t done = 0; done < own.count; done += block) {
    const std::int64_t n = std::min(block, own.count - done);
    const std::int64_t in_tile = (own.begin + done) * element_bytes;
    const std::int64_t in_buffer = range.begin * element_bytes + in_tile;
    for (std::size_t local = 0; local < areas_.size(); ++local) {
      sources_[local] = at(areas_[local]->stage[number % 2], in_tile);
    }
    sources_[static_cast<std::size_t>(me_)] = at(operation.send, in_buffer);
    std::byte* reduced = at(result, done * element_bytes);
    kernels.reduce_many(reduced, sources_.data(), ranks_, static_cast<std::size_t>(n), ranks_,
                        Store::cached);
    copy(at(operation.recv, in_buffer), reduced, n * element_bytes, store_);
  }
  mine().reduced.value.store(number + 1, std::memory_order_release);
  node_.ring_others();
}

void Engine::collect(const Operation& operation, std::int64_t tile) {
  const std::uint64_t number = tiles_before_ + static_cast<std::uint64_t>(tile);
  const auto element_bytes = static_cast<std::int64_t>(size_of(operation.type));
  const Range range = plan::partition(operation.count, tiles_, alignment_, tile);
  // Starting behind oneself spreads the readers over the results.
  for (int step = 1; step < ranks_; ++step) {
    const int local = (me_ + step) % ranks_;
    const Range chunk = plan::partition(range.count, ranks_, alignment_, local);
    copy(at(operation.recv, (range.begin + chunk.begin) * element_bytes),
         areas_[static_cast<std::size_t>(local)]->result[number % 2], chunk.count * element_bytes,
         store_);
  }
}

// Broadcast.

Status Engine::broadcast(const Operation& operation) {
  const std::int64_t bytes = operation.bytes();
  const bool root = node_.ranks()[static_cast<std::size_t>(me_)] == operation.root;
  HeapPlace place;
  if (root && bytes >= kDirectBroadcastBytes) {
    place = node_.heap()->find(operation.send, static_cast<std::size_t>(bytes)).value_or(place);
  }
  Status status = broadcast_pieces(operation, place);
  if (!status.ok() && place.bytes > 0) {
    mine().revoked.value.store(pieces_, std::memory_order_release);
    transport::publish_fence();
  }
  return status;
}

Status Engine::broadcast_pieces(const Operation& operation, const HeapPlace& place) {
  const std::int64_t bytes = operation.bytes();
  const bool root = node_.ranks()[static_cast<std::size_t>(me_)] == operation.root;
  const std::int64_t piece_bytes = place.bytes > 0 ? bytes : static_cast<std::int64_t>(kPieceBytes);
  for (std::int64_t begin = 0; begin < bytes;) {
    std::int64_t n = std::min(piece_bytes, bytes - begin);
    ++pieces_;
    if (root) {
      TUTTI_TRY(put_up(operation, begin, n, place));
    } else {
      TUTTI_TRY_ASSIGN(n, take(operation, begin, n));
    }
    mine().consumed.value.store(pieces_, std::memory_order_release);
    node_.ring_others();
    begin += n;
  }
  if (root && !operation.in_place) {
    copy(operation.recv, operation.send, bytes,
         bytes >= kEngineStreamingBytes ? Store::streaming : Store::cached);
  }
  // The caller may change what it sent once this returns.
  return place.bytes > 0 ? wait_consumed(pieces_) : Status();
}

Status Engine::wait_consumed(std::uint64_t piece) {
  if (consumed_ >= piece) return {};
  TUTTI_TRY(wait_all([piece](const EngineArea& area) {
    return area.consumed.value.load(std::memory_order_acquire) >= piece;
  }));
  consumed_ = piece;
  return {};
}

Status Engine::put_up(const Operation& operation, std::int64_t begin, std::int64_t bytes,
                      const HeapPlace& place) {
  const std::size_t slot = pieces_ % kPieces;
  TUTTI_TRY(wait_consumed(held_[slot]));
  held_[slot] = pieces_;
  EngineArea& own = mine();
  InlineLine& line = own.piece_line[slot];
  const bool fits = static_cast<std::size_t>(bytes) <= kInlineBytes;
  if (!fits) put_place(line, place);
  if (place.bytes == 0) {
    copy(fits ? line.data : own.piece[slot], at(operation.send, begin), bytes);
  }
  line.tag = tag_;
  line.sequence.store(pieces_, std::memory_order_release);
  return {};
}

Result<std::int64_t> Engine::take(const Operation& operation, std::int64_t begin,
                                  std::int64_t bytes) {
  const std::size_t slot = pieces_ % kPieces;
  const int root = node_.local_rank_of(operation.root);
  const EngineArea& from = *areas_[static_cast<std::size_t>(root)];
  const InlineLine& line = from.piece_line[slot];
  const auto pass = [&] {
    return line.sequence.load(std::memory_order_acquire) >= pieces_ ? Pass::done : Pass::blocked;
  };
  TUTTI_TRY(waiter_.run(
      CollectiveActivity(*call_), [] { return std::span<pollfd>(); }, pass,
      [&]() -> Result<int> { return operation.root; }));
  TUTTI_TRY(check_tag(line.tag, root));
  const Store store = operation.bytes() >= kEngineStreamingBytes ? Store::streaming : Store::cached;
  const bool fits = static_cast<std::size_t>(bytes) <= kInlineBytes;
  const std::byte* piece = fits ? line.data : from.piece[slot];
  if (!fits) {
    TUTTI_TRY_ASSIGN(const std::byte* const message, reach_piece(line, root));
    if (message != nullptr) {
      piece = message;
      bytes = operation.bytes();
    }
  }
  copy(at(operation.recv, begin), piece, bytes, store);
  if (from.revoked.value.load(std::memory_order_acquire) >= pieces_) TUTTI_TRY(wait_failure());
  return bytes;
}

}  // namespace tutti::runtime
