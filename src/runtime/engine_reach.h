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

#include "device/reduce.h"
#include "runtime/crew.h"
#include "runtime/engine_board.h"
#include "runtime/engine_flow.h"
#include "runtime/lending.h"
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
  // `crowded`: more ranks than CPUs; all say the same.
  Reach(transport::Node& node, Board& board, Crew& crew, bool crowded);

  // From how many bytes on a block may be read where it lies: a system call and the kernel's look
  // at each page cost as much as copying 8 KiB. And its sender waits for all readers, which with
  // more ranks than CPUs costs more than a second copy of a long block. `one_block`: a sender has
  // one. (4 ranks on 2 CPUs, copied and read: broadcast of 32 KiB 4.3 and 8.4 us, alltoall in
  // blocks of 8 KiB 7.7 and 14.)
  std::int64_t worth_reading(bool one_block) const {
    if (!crowded_) return 8 << 10;
    return one_block ? 64 << 10 : 32 << 10;
  }
  // Can blocks be lent from so many bytes on?
  bool lends(std::int64_t bytes, bool one_block) const {
    return processes_open() && bytes >= worth_reading(one_block);
  }
  // Is there a choice, which lending() makes? Who reads by an address copies as fast as ever.
  bool learns(std::int64_t bytes, bool one_block) const {
    return !in_process() && bytes >= worth_reading(one_block);
  }
  Lending& lending() { return lending_; }
  // From how many bytes on a block in allocated memory is read where it lies.
  std::int64_t worth_mapping(bool one_block) const {
    return crowded_ && one_block ? 32 << 10 : 8 << 10;
  }
  // An all-reduce waits twice where buffers are read. (8 KiB: 6.3 us staged, 17 read.)
  bool worth_lending() const { return !crowded_; }
  // How many pieces a rank posts beyond the one of which it waits for the others'. Where a piece
  // has something for each of them it is short for each, and with more ranks than CPUs to wait is a
  // change of process. (8 ranks on 2 CPUs, 3 and 1: reduce_scatter of 1 MiB 0.81 of the time, 2 MiB
  // 0.77; all_to_all 0.92, 0.97. With one block for all, which is long enough, up to 1.1.)
  int pieces_ahead(bool one_block) const { return crowded_ && !one_block ? 3 : 1; }

  // The place of this rank's bytes in what it allocated, or nothing.
  std::optional<transport::HeapPlace> find(const void* data, std::int64_t bytes) const;
  // Of any bytes of this rank. For who reads it while processes_open().
  ProcessPlace in_process(const void* data) const;
  // Finds out whether every rank can read the memory of every other's process, by trying.
  // Collective: two steps of the board.
  Status probe();
  bool processes_open() const { return open_; }
  // Are all ranks threads of one process?
  bool in_process() const { return node_.in_process(); }

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

  // Copies what the rank lent for point to point, unless it has withdrawn: look at that afterwards.
  Status fetch(int rank, const ProcessPlace& place, std::int64_t bytes, void* dst);
  Status fetch(int rank, const transport::HeapPlace& place, std::int64_t bytes, void* dst,
               device::Store store);
  // What this rank lent for point to point may change once this returns: it has failed.
  void withdraw();
  bool withdrawn(int rank) const;
  // This rank is through with the uneven all-to-all of that number: it has sent all that it ever
  // will, and released all that it took. Is that one?
  void finish_pairs(std::uint64_t sequence);
  bool finished_pairs(int rank, std::uint64_t sequence) const;

 private:
  bool try_process(const PostLine& line) const;
  Status read_together(const ProcessPlace& place, const Block& block, void* dst);

  transport::Node& node_;
  Board& board_;
  Crew& crew_;
  Lending lending_;
  bool crowded_;
  bool open_ = false;
  std::uint64_t process_;
  std::uint64_t token_;  // what others read to see that it is this process that they reach
};

}  // namespace tutti::runtime
