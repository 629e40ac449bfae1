// How the engine reads what a peer keeps outside its slots: memory that the peer allocated with
// Communicator::allocate(), which is mapped here, or any memory of its process, which the kernel
// copies. One copy instead of two.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/crew.h"
#include "runtime/engine_board.h"
#include "runtime/engine_flow.h"
#include "transport/heap.h"

namespace tutti::runtime {

// Of each of the others, what a reduction reads from its process at a time: enough to be worth a
// system call, and all within the second-level cache.
constexpr std::int64_t read_bytes(int ranks) {
  constexpr std::int64_t kAtOnce = 256 << 10;
  constexpr std::int64_t kLeast = 16 << 10;
  return std::max(kAtOnce / (ranks - 1), kLeast) / kEngineAlignmentBytes * kEngineAlignmentBytes;
}

// The error of rank `me`, which in `what` could not read what rank `peer` lent.
Status cannot_read(int me, const std::string& what, int peer, const Status& why);

class Reach {
 public:
  Reach(transport::Node& node, Board& board, Crew& crew);

  // The place of this rank's bytes in what it allocated, or nothing.
  std::optional<transport::HeapPlace> find(const void* data, std::int64_t bytes) const;
  // Of any bytes of this rank. For who reads it while processes_open().
  ProcessPlace in_process(const void* data) const;
  // Finds out whether every rank can read the memory of every other's process, by trying.
  // Collective: two steps of the board.
  Status probe();
  bool processes_open() const { return open_; }

  // Memory that a peer allocated, mapped here.
  Result<std::byte*> map(int rank, const transport::HeapPlace& place);
  // The memory of a process, if it is this one; else null.
  const std::byte* address(const ProcessPlace& place) const;
  // Copies a block of the memory there. unavailable or peer_failed when that is not possible. For
  // any thread.
  Status read(const ProcessPlace& place, const Block& block, void* dst) const;
  // The same in a collective, by the whole crew: the error names it, or tells what became of the
  // rank.
  Status take(int rank, const ProcessPlace& place, const Block& block, void* dst);

  // Copies what the rank lent outside collectives, unless it has withdrawn: look at that
  // afterwards.
  Status fetch(int rank, const ProcessPlace& place, std::int64_t bytes, void* dst);
  // What this rank lent outside collectives may change once this returns: it has failed.
  void withdraw();
  bool withdrawn(int rank) const;

 private:
  bool try_process(const PostLine& line) const;
  Status read_together(const ProcessPlace& place, const Block& block, void* dst);

  transport::Node& node_;
  Board& board_;
  Crew& crew_;
  bool open_ = false;
  std::uint64_t process_;
  std::uint64_t token_;  // what others read to see that it is this process that they reach
};

}  // namespace tutti::runtime
