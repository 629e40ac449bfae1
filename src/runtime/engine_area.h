// The memory of the native shared-memory engine: what each rank of a node shares with the others.
//
// Every counter and buffer here has one writer, its rank, and only grows or is rewritten under the
// rules in engine_board.h and engine.h; nothing is ever reset. Zero-filled memory is the initial
// state.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "transport/heap.h"
#include "transport/node.h"

namespace tutti::runtime {

using transport::kCacheLine;

// What one rank posts in a step, and how many steps may be under way: fewer where posts need slots.
// Those are cut out of units, as many as the post takes: see transport/unit_ring.h.
inline constexpr std::size_t kSlotBytes = 128 * 1024;
inline constexpr std::size_t kSlotUnitBytes = 32 * 1024;
inline constexpr std::size_t kSlotUnits = 32;
inline constexpr int kLines = 64;
inline constexpr std::size_t kNoteBytes = 4096;
inline constexpr int kSwapNotes = 8;
// A sender takes a line from who read it last so many posts before it fills it: else its stores
// would wait for the line, and all its later stores with them.
inline constexpr std::uint64_t kLinesAhead = 8;
// Where only lines and notes are used, their readers say so rarely: what they write then is what a
// sender looks at that has none left.
inline constexpr std::uint64_t kLinesPerCredit = 16;
static_assert(kLinesPerCredit < kLines,
              "who has taken all has said so of the next line's last step");
// Every receiver has at least a cache line of a slot.
inline constexpr int kEngineRanksMax = 1024;
// What one rank stages of a tiled all-reduce at a time, at most. Two of them and their results stay
// within a second-level cache of 2 MiB, and in a third-level one for a dozen ranks.
inline constexpr std::size_t kTileBytes = 512 * 1024;
// Chunks, shares and pieces start at a cache line.
inline constexpr std::int64_t kEngineAlignmentBytes = 64;
// From here on a recv buffer is written past the cache: it would only push the stages out.
inline constexpr std::int64_t kEngineStreamingBytes = 8 << 20;

// Where the data of a post lies.
enum class Where : std::uint16_t {
  line,     // in the post's own cache line
  note,     // in the line's note
  swap,     // in a swap note
  slot,     // in its slot
  heap,     // in memory that the sender allocated: the line holds a HeapPlace
  process,  // in memory of the sender's process: the line holds a ProcessPlace
};

// Memory that the sender's caller owns.
struct ProcessPlace {
  std::uint64_t process = 0;  // its pid; 0: no place
  std::uint64_t address = 0;
};

// A message that fits the line travels with its sequence number: one transfer delivers both, and
// the tag of the call that the sender makes (see tag.h).
inline constexpr std::size_t kInlineBytes = kCacheLine - 3 * sizeof(std::uint64_t);

struct alignas(kCacheLine) PostLine {
  std::atomic<std::uint64_t> step;
  std::uint64_t tag;  // like all below, written before the step
  Where where;
  bool streamed;       // its slot was written past the cache
  std::uint32_t unit;  // at which that begins, if it has one
  std::byte data[kInlineBytes];
};
static_assert(sizeof(PostLine) == kCacheLine);

// A longer message, up to a page. Where messages go one way there are as many as lines, so that the
// sender gets far before it waits: with more ranks than CPUs each wait is a change of process. (4
// KiB of 2 ranks 0.24 us with 64 of them, 0.38 with 16; of 4 ranks on 2 CPUs 0.59, 0.86.)
//
// In a call in which all ranks post and wait for all, a swap, they take turns with a few swap
// notes, which stay in the first-level cache. (2 KiB of two ranks 0.57 us, 0.87 with 64 of them.)
// Nobody waits for these: whoever has seen everybody's post of the last swap knows that all are
// through with the one before it.
struct alignas(kCacheLine) Note {
  std::byte data[kNoteBytes];
  // The notes' first lines, which are used most, are not all in the same set of a cache.
  std::byte apart[kCacheLine];
};

// What a line holds.
template <typename T>
T read_line(const PostLine& line) {
  static_assert(sizeof(T) <= kInlineBytes);
  T value;
  std::memcpy(&value, line.data, sizeof(value));
  return value;
}
template <typename T>
void write_line(PostLine& line, const T& value) {
  static_assert(sizeof(T) <= kInlineBytes);
  std::memcpy(line.data, &value, sizeof(value));
}

// A line that the other core has comes while this one does something else.
inline void prefetch_to_read(const void* line) noexcept {
#if defined(__x86_64__) || defined(__i386__)
  // gcc 12 takes a function that does no more than __builtin_prefetch() for one that does nothing.
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const std::byte*>(line)));
#else
  __builtin_prefetch(line);
#endif
}
inline void prefetch_to_write(void* line) noexcept {
#if defined(__x86_64__) || defined(__i386__)
  // gcc makes a read of it, unless it may use all of a newer processor's instructions; where the
  // processor does not know this one, it does nothing.
  asm volatile("prefetchw %0" : : "m"(*static_cast<std::byte*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

// Where so many bytes are put up.
constexpr Where room_for(std::int64_t bytes, bool swaps) {
  if (bytes <= static_cast<std::int64_t>(kInlineBytes)) return Where::line;
  if (bytes > static_cast<std::int64_t>(kNoteBytes)) return Where::slot;
  return swaps ? Where::swap : Where::note;
}

struct alignas(kCacheLine) Counter {
  std::atomic<std::uint64_t> value;
};

// Ways that a long block can go: see lending.h.
inline constexpr std::size_t kWays = 3;

struct alignas(kCacheLine) Staged {
  std::atomic<std::uint64_t> tiles;  // whose input this rank has staged, or can be read in place
  std::uint64_t tag;                 // like all below, written before the tiles of a call
  ProcessPlace place;                // of the send buffer, where it is read in place
  // What such calls took this rank, each way: see lending.h.
  std::array<float, kWays> costs;
};

// Long blocks, of several kinds and classes of sizes: see lending.h.
enum class BlockKind : std::uint8_t {
  pair,
  broadcast,
  gather,
  scatter,
  all_gather,
  all_to_all,
  reduce,
  reduce_scatter,
  uneven_all_to_all,
};
inline constexpr std::size_t kBlockKinds =
    std::size_t{1} + static_cast<std::size_t>(BlockKind::uneven_all_to_all);
inline constexpr int kSizeClasses = 14;  // from 8 KiB on by factors of two

// What a byte of them takes a rank, each way, in ticks; 0 when it has taken none.
struct Taken {
  std::array<std::atomic<float>, kWays> way;
  std::atomic<float> mapped;  // of what was lent, that which its sender had allocated
};
static_assert(std::atomic<float>::is_always_lock_free);
using TakenTable = std::array<std::array<Taken, kSizeClasses>, kBlockKinds>;

// Where a rank's buffers of an all-reduce lie, when both are allocated.
struct alignas(kCacheLine) Announcement {
  std::atomic<std::uint64_t> number;  // of all-reduces so far that are direct where all announce
  std::uint64_t tag;                  // like the places, written before the number
  transport::HeapPlace send;
  transport::HeapPlace recv;
};

struct EngineArea {
  // The board.
  PostLine line[kLines];
  Counter consumed;  // the last step whose posts this rank needs no more
  Counter revoked;   // the last step whose data, outside its slot, it no longer keeps as it was
  // Tiled all_reduce.
  Staged staged[2];  // of even and odd tiles
  Counter reduced;   // tiles whose own chunk this rank has reduced, or whose input it has read
  // All_reduce of allocated memory.
  Announcement announced;
  Counter through;  // the last such all_reduce that this rank is through with
  Counter left;     // the last one that it left with an error
  // Point to point: 1 when this rank failed, and keeps nothing that it lent.
  Counter withdrawn;
  Counter pairs_finished;  // the last uneven all-to-all that this rank is through with, by number
  Counter reading;  // 1 while this rank reads memory of other ranks of its process: see Reading
  alignas(kCacheLine) TakenTable taken;
  alignas(4096) Note note[kLines];
  Note swap_note[kSwapNotes];
  alignas(4096) std::byte slot_unit[kSlotUnits][kSlotUnitBytes];
  alignas(kCacheLine) std::byte stage[2][kTileBytes];
  alignas(kCacheLine) std::byte result[2][kTileBytes / 2 + kCacheLine];

  PostLine& line_of(std::uint64_t step) { return line[step % kLines]; }
  const PostLine& line_of(std::uint64_t step) const { return line[step % kLines]; }
};

// While a rank reads by its address what another rank of its process lent. Who fails, and lent
// something, says so, and then waits until nobody reads. The protocol is Dekker's: who reads says
// that, and then looks whether the other has failed. Nothing is waited for meanwhile.
class Reading {
 public:
  explicit Reading(EngineArea& own) : own_(own) {
    own_.reading.value.exchange(1, std::memory_order_seq_cst);
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { own_.reading.value.store(0, std::memory_order_release); }

 private:
  EngineArea& own_;
};

inline constexpr std::size_t kEngineAreaBytes = (sizeof(EngineArea) + 4095) / 4096 * 4096;
static_assert(kEngineAreaBytes <= 8u << 20, "at most 8 MiB of buffers per peer");

}  // namespace tutti::runtime
