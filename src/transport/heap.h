// The heap of a node: memory that a rank gives to its caller and that its peers can map.
//
// Each rank has its own part of the node's memory file. An allocation takes file space that none
// had before (the file is sparse, and space in it costs nothing), so that what a peer mapped of one
// allocation never shows another; freeing gives the pages back. Nothing is told when memory is
// allocated: a HeapPlace, sent along with an operation, is all that a peer needs to map it.
//
// A heap that shares with nobody gives ordinary memory.
//
// Lifetime: whoever holds memory of a heap holds the heap; it needs no node. Threads: allocate()
// and free() from any, find() from any and without a lock, reach() from one at a time.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transport/segment.h"
#include "tutti/status.h"

namespace tutti::transport {

// Allocations that one heap can have at a time.
inline constexpr std::size_t kHeapSlots = 1024;
// File space of one rank, over the life of a communicator.
inline constexpr std::size_t kHeapBytes = std::size_t{1} << 50;

// Where a node's heaps lie.
struct HeapSpace {
  std::shared_ptr<Segment> segment;  // of a memory file; null: nothing is shared
  std::vector<std::size_t> begins;   // by local rank: offsets of whole pages
  std::size_t bytes = 0;             // of each
  std::vector<std::string> names;    // by local rank: "rank 3 (host b)"
};

// Where data lies in the heap of a rank. Zeros: not in a heap.
struct HeapPlace {
  std::uint64_t slot = 0;    // of the allocation, below kHeapSlots
  std::uint64_t offset = 0;  // of the allocation, in the file
  std::uint64_t bytes = 0;   // of the allocation
  std::uint64_t within = 0;  // of the data, in the allocation
};
static_assert(sizeof(HeapPlace) == 32);

class Heap {
 public:
  Heap(HeapSpace space, int local_rank);
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  // REQUIRES: everything was freed.
  ~Heap();

  // Whole pages of zeros, `bytes` of them to be used. They are there at once: that there is not
  // enough memory is an error here (unavailable). REQUIRES: bytes > 0.
  Result<std::span<std::byte>> allocate(std::size_t bytes);
  // invalid_argument when `data` is not the start of an allocation.
  Status free(const void* data);

  // Where the bytes lie, or nothing when that is not within one shared allocation. Hot.
  std::optional<HeapPlace> find(const void* data, std::size_t bytes) const noexcept;
  // The data at a place that local rank `owner` found. Mapped on first use, and until the owner
  // puts another allocation in the same slot. REQUIRES: the owner has not freed it.
  Result<std::byte*> reach(int owner, const HeapPlace& place);

 private:
  // Of one allocation; begin is 0 in a free one.
  struct Slot {
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::size_t> bytes{0};
    std::atomic<std::uint64_t> offset{0};
  };
  // What is mapped of a peer's slot.
  struct View {
    std::uint64_t offset = 0;
    std::span<std::byte> memory;
  };

  Result<std::span<std::byte>> map(std::size_t bytes);
  void write(Slot& slot, std::uintptr_t begin, std::size_t bytes, std::uint64_t offset) noexcept;
  Slot* slot_at(std::uintptr_t begin) noexcept;

  const HeapSpace space_;
  const int local_rank_;
  const pid_t owner_ = ::getpid();  // a fork's copy of this has nothing to give back
  std::mutex mutex_;                // of allocate() and free()
  std::size_t used_ = 0;            // file space
  // Odd while a slot is being changed: find() then looks again.
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::size_t> slots_used_{0};  // those beyond were never used
  std::vector<Slot> slots_;
  std::vector<std::vector<View>> views_;  // by local rank and slot; empty until first used
};

}  // namespace tutti::transport
