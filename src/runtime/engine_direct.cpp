#include "runtime/engine_direct.h"

#include <algorithm>
#include <thread>

#include "base/deadline.h"
#include "base/try.h"
#include "plan/partition.h"
#include "runtime/engine_copy.h"
#include "transport/doorbell.h"

namespace tutti::runtime {

using device::Store;
using plan::Range;

namespace {

// How long a rank that failed waits for those that may be in the midst of its buffers: as long as a
// share of the largest messages takes, many times over.
constexpr std::int64_t kLeaveMs = 2000;

// What a thread reduces before it copies that on: long, as each copy past the cache ends with a
// fence (16 MiB of two ranks 1.47 ms with 16 KiB, 1.37 with 128), and within the thread's part of
// the result buffer.
constexpr std::int64_t block_bytes(int threads) {
  constexpr std::int64_t kMost = 128 << 10;
  constexpr auto kRoom = static_cast<std::int64_t>(sizeof(EngineArea::result[0]));
  return std::min(kMost, kRoom / threads / kEngineAlignmentBytes * kEngineAlignmentBytes);
}

}  // namespace

DirectAllReduce::DirectAllReduce(Board& board, Reach& reach, Crew& crew)
    : board_(board),
      reach_(reach),
      crew_(crew),
      sources_(board, reach, crew),
      reached_(static_cast<std::size_t>(board.ranks())) {}

// Who has allocated buffers says where they lie; who has not copies, as ever. So the answer of all
// ranks costs nobody a round of flags but those who have, and only when others have not.
bool DirectAllReduce::announce_own(const Operation& operation) {
  ++number_;
  const auto send = reach_.find(operation.send, operation.bytes());
  const auto recv = operation.in_place ? send : reach_.find(operation.recv, operation.bytes());
  if (!send || !recv) return false;

  Announcement& own = board_.mine().announced;
  own.send = *send;
  own.recv = *recv;
  own.tag = board_.tag();
  own.number.store(number_, std::memory_order_release);
  // Against leave(): either this rank sees who has left, or who leaves sees this announcement.
  transport::publish_fence();
  board_.ring();
  return true;
}

// Everybody has announced: nobody writes to its buffers any more, or reads its result.
Status DirectAllReduce::run(const Operation& operation) {
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    TUTTI_TRY(board_.check(board_.area(rank).announced.tag, rank));
  }
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    const bool left = board_.area(rank).left.value.load(std::memory_order_acquire) >= number_;
    if (left) return board_.wait_failure(rank);
  }
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    Buffers& buffers = reached_[static_cast<std::size_t>(rank)];
    buffers = {operation.send, static_cast<std::byte*>(operation.recv)};
    if (rank == board_.rank()) continue;
    const Announcement& theirs = board_.area(rank).announced;
    TUTTI_TRY_ASSIGN(buffers.send, reach_.map(rank, theirs.send));
    TUTTI_TRY_ASSIGN(buffers.recv, reach_.map(rank, theirs.recv));
  }
  reduce_share(operation);
  board_.mine().through.value.store(number_, std::memory_order_release);
  board_.ring();
  return board_.wait_all([this](const EngineArea& area) {
    return area.through.value.load(std::memory_order_acquire) >= number_;
  });
}

// The caller has its buffers back when the call returns, so this is where to wait until peers are
// done with them. The dead are never done.
void DirectAllReduce::leave(const Status& failure) {
  EngineArea& own = board_.mine();
  own.left.value.store(number_, std::memory_order_release);
  transport::publish_fence();
  board_.ring();
  if (own.announced.number.load(std::memory_order_relaxed) < number_) return;
  const auto done = [this](const EngineArea& area) {
    return area.announced.number.load(std::memory_order_acquire) < number_ ||
           area.through.value.load(std::memory_order_acquire) >= number_ ||
           area.left.value.load(std::memory_order_acquire) >= number_;
  };
  const Deadline soon = Deadline::after_ms(kLeaveMs);
  for (int rank = 0; rank < board_.ranks(); ++rank) {
    if (rank == board_.rank() || rank == failure.failed_rank()) continue;
    while (!done(board_.area(rank)) && !soon.passed()) std::this_thread::yield();
  }
}

// Elements of a rank's share are read and written by that rank alone, so that sending and receiving
// buffers may be the same.
void DirectAllReduce::reduce_share(const Operation& operation) {
  const std::int64_t element_bytes = operation.element_bytes();
  const int ranks = board_.ranks();
  const Range own =
      plan::partition(operation.count, ranks, kEngineAlignmentBytes / element_bytes, board_.rank());
  const Store store = operation.bytes() >= kEngineStreamingBytes && !operation.in_place
                          ? Store::streaming
                          : Store::cached;
  crew_.divide(own.count * element_bytes, reduce_share_bytes(ranks),
               [&](int thread, std::int64_t begin, std::int64_t bytes) {
                 reduce_range(operation, store, thread,
                              {own.begin + begin / element_bytes, bytes / element_bytes});
               });
}

void DirectAllReduce::reduce_range(const Operation& operation, Store store, int thread,
                                   const Range& range) {
  const std::int64_t element_bytes = operation.element_bytes();
  const int ranks = board_.ranks();
  const device::Kernels& kernels = device::kernels(operation.type, operation.reduction.op());
  const std::span<const void*> sources = sources_.of(thread);
  const std::int64_t room_bytes = block_bytes(crew_.threads());
  std::byte* const room = board_.mine().result[0] + thread * room_bytes;
  const std::int64_t block = room_bytes / element_bytes;
  for (std::int64_t done = 0; done < range.count; done += block) {
    const std::int64_t n = std::min(block, range.count - done);
    const std::int64_t offset = (range.begin + done) * element_bytes;
    for (std::size_t rank = 0; rank < reached_.size(); ++rank) {
      sources[rank] = at(reached_[rank].send, offset);
    }
    // Past the cache goes the last copy alone.
    std::byte* const own_recv = at(reached_[static_cast<std::size_t>(board_.rank())].recv, offset);
    std::byte* const reduced = store == Store::streaming ? room : own_recv;
    kernels.reduce_many(reduced, sources.data(), ranks, static_cast<std::size_t>(n), ranks,
                        Store::cached);
    // Starting with oneself spreads the writers over the ranks.
    for (int i = 0; i < ranks; ++i) {
      const auto rank = static_cast<std::size_t>((board_.rank() + i) % ranks);
      std::byte* const to = at(reached_[rank].recv, offset);
      if (to != reduced) copy_block(to, reduced, n * element_bytes, store);
    }
  }
}

}  // namespace tutti::runtime
