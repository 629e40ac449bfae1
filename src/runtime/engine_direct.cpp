// The engine's ways without a copy: what Communicator::allocate gave is read and written where it
// lies. See engine.h.
#include <algorithm>
#include <cstring>
#include <thread>

#include "base/deadline.h"
#include "base/error.h"
#include "base/try.h"
#include "plan/partition.h"
#include "runtime/engine.h"
#include "transport/doorbell.h"

namespace tutti::runtime {

using device::Store;
using plan::Range;
using transport::HeapPlace;

namespace {

// How long a rank that failed waits for those that may be in the midst of its buffers: as long as a
// share of the largest messages takes, many times over.
constexpr std::int64_t kLeaveMs = 2000;

}  // namespace

// Who has allocated buffers says where they lie; who has not stages its first tile, as ever. So the
// answer of all ranks costs nobody a round of flags but those who have, and only when others have
// not.
Result<bool> Engine::announce(const Operation& operation) {
  const auto bytes = static_cast<std::size_t>(operation.bytes());
  const auto send = node_.heap()->find(operation.send, bytes);
  const auto recv = operation.in_place ? send : node_.heap()->find(operation.recv, bytes);
  if (!send || !recv) return false;

  Announcement& own = mine().announced;
  own.send = *send;
  own.recv = *recv;
  own.tag = tag_;
  own.number.store(large_, std::memory_order_release);
  // Against leave(): either this rank sees who has left, or who leaves sees this announcement.
  transport::publish_fence();
  node_.ring_others();
  bool all = true;
  TUTTI_TRY(wait_all([&](const EngineArea& area) {
    if (area.announced.number.load(std::memory_order_acquire) >= large_) return true;
    if (area.staged.value.load(std::memory_order_acquire) <= tiles_before_) return false;
    all = false;
    return true;
  }));
  return all;
}

// Everybody has announced: nobody writes to its buffers any more, or reads its result.
Status Engine::all_reduce_direct(const Operation& operation) {
  TUTTI_TRY(
      check_tags([](const EngineArea& area) -> const Announcement& { return area.announced; }));
  for (const EngineArea* area : areas_) {
    if (area->left.value.load(std::memory_order_acquire) >= large_) return wait_failure();
  }
  for (int local = 0; local < ranks_; ++local) {
    const auto at = static_cast<std::size_t>(local);
    reached_[at] = {operation.send, static_cast<std::byte*>(operation.recv)};
    if (local == me_) continue;
    const Announcement& theirs = areas_[at]->announced;
    TUTTI_TRY_ASSIGN(reached_[at].send, reach(local, theirs.send));
    TUTTI_TRY_ASSIGN(reached_[at].recv, reach(local, theirs.recv));
  }
  reduce_share(operation);
  mine().through.value.store(large_, std::memory_order_release);
  node_.ring_others();
  return wait_all([this](const EngineArea& area) {
    return area.through.value.load(std::memory_order_acquire) >= large_;
  });
}

// The caller has its buffers back when the call returns, so this is where to wait until peers are
// done with them. The dead are never done.
void Engine::leave(const Status& failure) {
  EngineArea& own = mine();
  own.left.value.store(large_, std::memory_order_release);
  transport::publish_fence();
  node_.ring_others();
  if (own.announced.number.load(std::memory_order_relaxed) < large_) return;
  const auto done = [this](const EngineArea& area) {
    return area.announced.number.load(std::memory_order_acquire) < large_ ||
           area.through.value.load(std::memory_order_acquire) >= large_ ||
           area.left.value.load(std::memory_order_acquire) >= large_;
  };
  const Deadline soon = Deadline::after_ms(kLeaveMs);
  for (std::size_t local = 0; local < areas_.size(); ++local) {
    if (node_.ranks()[local] == failure.failed_rank()) continue;
    while (areas_[local] != &own && !done(*areas_[local]) && !soon.passed()) {
      std::this_thread::yield();
    }
  }
}

Status Engine::wait_failure() {
  return wait_all([](const EngineArea&) { return false; });
}

// Elements of a rank's share are read and written by that rank alone, so that sending and receiving
// buffers may be the same.
void Engine::reduce_share(const Operation& operation) {
  const std::int64_t element_bytes = operation.element_bytes();
  const Range own =
      plan::partition(operation.count, ranks_, kEngineAlignmentBytes / element_bytes, me_);
  const device::Kernels& kernels = device::kernels(operation.type, operation.reduction.op());
  const Store store = operation.bytes() >= kEngineStreamingBytes && !operation.in_place
                          ? Store::streaming
                          : Store::cached;
  const std::int64_t block = kEngineBlockBytes / element_bytes;
  for (std::int64_t done = 0; done < own.count; done += block) {
    const std::int64_t n = std::min(block, own.count - done);
    const std::int64_t offset = (own.begin + done) * element_bytes;
    for (std::size_t local = 0; local < reached_.size(); ++local) {
      sources_[local] = static_cast<const std::byte*>(reached_[local].send) + offset;
    }
    // Past the cache goes the last copy alone.
    std::byte* const own_recv = reached_[static_cast<std::size_t>(me_)].recv + offset;
    std::byte* const reduced = store == Store::streaming ? mine().result[0] : own_recv;
    kernels.reduce_many(reduced, sources_.data(), ranks_, static_cast<std::size_t>(n), ranks_,
                        Store::cached);
    // Starting with oneself spreads the writers over the ranks.
    for (int step = 0; step < ranks_; ++step) {
      std::byte* const to = reached_[static_cast<std::size_t>((me_ + step) % ranks_)].recv + offset;
      if (to == reduced) continue;
      device::copy(to, reduced, static_cast<std::size_t>(n * element_bytes), store);
    }
  }
}

// What the root puts up in place of a piece. Zeros, for a piece that is staged.
void Engine::put_place(InlineLine& line, const HeapPlace& place) {
  static_assert(sizeof(HeapPlace) <= kInlineBytes);
  std::memcpy(line.data, &place, sizeof(place));
}

Result<const std::byte*> Engine::reach_piece(const InlineLine& line, int root) {
  HeapPlace place;
  std::memcpy(&place, line.data, sizeof(place));
  if (place.bytes == 0) return nullptr;
  TUTTI_TRY_ASSIGN(const std::byte* const message, reach(root, place));
  return message;
}

Result<std::byte*> Engine::reach(int local, const HeapPlace& place) {
  Result<std::byte*> reached = node_.heap()->reach(local, place);
  if (reached.ok()) return reached;
  const int me = node_.ranks()[static_cast<std::size_t>(me_)];
  return rank_error(reached.status().code(), me, "rank {} in {}, memory of rank {}: {}", me,
                    describe(*call_), node_.ranks()[static_cast<std::size_t>(local)],
                    reached.status().message());
}

}  // namespace tutti::runtime
