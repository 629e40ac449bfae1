// How the engine reads what a peer keeps outside its slots: memory that the peer allocated with
// Communicator::allocate(), which is mapped here, or any memory of its process, which the kernel
// copies. One copy instead of two.
//
// Lifetime: an engine's. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runtime/engine_board.h"
#include "runtime/engine_flow.h"
#include "transport/heap.h"

namespace tutti::runtime {

// Where a rank's message lies, to be put in its line.
struct Place {
  Where where = Where::slot;
  transport::HeapPlace heap;
  ProcessPlace process;
};

class Reach {
 public:
  Reach(transport::Node& node, Board& board);

  // The place of this rank's bytes in what it allocated, or nothing.
  std::optional<transport::HeapPlace> find(const void* data, std::int64_t bytes) const;
  // Of any bytes of this rank. REQUIRES: processes_open().
  Place in_process(const void* data) const;
  // Can every rank read the memory of every other's process? Found out once, by trying, in two
  // steps of the board: all ranks ask in the same call.
  Result<bool> processes_open();

  void put(PostLine& line, const Place& place) const;
  // Memory that a peer allocated, mapped here.
  Result<std::byte*> map(int rank, const transport::HeapPlace& place);
  // The memory that a line says, if this process can address it; else null.
  Result<const std::byte*> address(int rank, const PostLine& line);
  // Copies a block of the memory that a line says. REQUIRES: address() was null.
  Status read(int rank, const PostLine& line, const Block& block, void* dst);

 private:
  bool try_process(const PostLine& line) const;
  Status read_failed(int rank, const Status& why);

  transport::Node& node_;
  Board& board_;
  std::optional<bool> open_;
  std::uint64_t process_;
  std::uint64_t token_;  // what others read to see that it is this process that they reach
};

}  // namespace tutti::runtime
