// The memory of the native shared-memory engine: what each rank of a node shares with the others.
//
// Every counter and buffer here has one writer, its rank, and only grows or is rewritten under the
// rules in engine.h; nothing is ever reset. Zero-filled memory is the initial state.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "transport/heap.h"
#include "transport/node.h"

namespace tutti::runtime {

using transport::kCacheLine;

// A message that fits the line travels with its sequence number: one transfer delivers both, and
// the tag of the call that the sender makes (see tag.h).
inline constexpr std::size_t kInlineBytes = kCacheLine - 2 * sizeof(std::uint64_t);

struct alignas(kCacheLine) InlineLine {
  std::atomic<std::uint64_t> sequence;
  std::uint64_t tag;  // written before the sequence
  std::byte data[kInlineBytes];
};
static_assert(sizeof(InlineLine) == kCacheLine);

struct alignas(kCacheLine) Counter {
  std::atomic<std::uint64_t> value;
  std::uint64_t tag;  // of the call that counts, written before it does
};

// Where a rank's buffers of a large all-reduce lie, when both are allocated.
struct alignas(kCacheLine) Announcement {
  std::atomic<std::uint64_t> number;  // of large all-reduces so far
  std::uint64_t tag;                  // like the places, written before the number
  transport::HeapPlace send;
  transport::HeapPlace recv;
};

// Largest message of the one-exchange all-reduce; above it the tiled one moves less.
inline constexpr std::size_t kExchangeBytes = 32 * 1024;
// What one rank stages of a tiled all-reduce at a time. Two of them and their results stay within a
// second-level cache of 2 MiB, and in a third-level one for a dozen ranks.
inline constexpr std::size_t kTileBytes = 512 * 1024;
// A piece of a broadcast, and how many may be under way.
inline constexpr std::size_t kPieceBytes = 128 * 1024;
inline constexpr int kPieces = 8;
// From here on an allocated message is read where it lies.
inline constexpr std::int64_t kDirectBroadcastBytes = 32 * 1024;
// Chunks and shares start at a cache line.
inline constexpr std::int64_t kEngineAlignmentBytes = 64;
// From here on a recv buffer is written past the cache: it would only push the stages out.
inline constexpr std::int64_t kEngineStreamingBytes = 8 << 20;
// Reduced data is copied on while it is in the first-level cache.
inline constexpr std::int64_t kEngineBlockBytes = 16 * 1024;

struct EngineArea {
  // One exchange (small all_reduce): two generations alternate.
  InlineLine exchange_line[2];
  alignas(kCacheLine) std::byte exchange[2][kExchangeBytes];
  // Tiled all_reduce.
  Counter staged;   // tiles whose input this rank has staged
  Counter reduced;  // tiles whose own chunk this rank has reduced
  alignas(kCacheLine) std::byte stage[2][kTileBytes];
  alignas(kCacheLine) std::byte result[2][kTileBytes / 2 + kCacheLine];
  // Large all_reduce of allocated memory.
  Announcement announced;
  Counter through;  // the last such all_reduce that this rank is through with
  Counter left;     // the last one that it left with an error
  // Broadcast, pieces numbered over all operations and roots.
  Counter consumed;  // the last piece that this rank has taken (or, as root, put up)
  // The sequence is that of larger pieces too; their data says where in the root's heap the message
  // lies, or that it was staged here (zeros).
  InlineLine piece_line[kPieces];
  Counter revoked;  // as root: the last piece whose message it no longer keeps as it was
  alignas(kCacheLine) std::byte piece[kPieces][kPieceBytes];
};

inline constexpr std::size_t kEngineAreaBytes = (sizeof(EngineArea) + 4095) / 4096 * 4096;
static_assert(kEngineAreaBytes <= 8u << 20, "at most 8 MiB of buffers per peer");

}  // namespace tutti::runtime
