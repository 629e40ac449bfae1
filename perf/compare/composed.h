// The exchanges along the edges of a hypercube, whoever moves the data: an all-gather by recursive
// doubling that is made of sends and receives, as nccl-tests' program of that name.
#pragma once

#include <cstddef>
#include <cstring>

#include "base/try.h"
#include "compare/call.h"

namespace tutti::compare {

// In round k ranks 2^k apart exchange all they have: exchange(sent, received, elements, peer). All
// blocks end up in the output. REQUIRES: a power of two of ranks.
template <typename Exchange>
Status exchange_along_edges(const Call& call, int rank, int ranks, Exchange exchange) {
  const auto at = [&](int block) { return call.recv + block * call.count; };
  if (call.send != at(rank) && call.count > 0) {
    std::memcpy(at(rank), call.send, static_cast<std::size_t>(call.count) * sizeof(float));
  }
  for (int bit = 1; bit < ranks; bit *= 2) {
    const int mine = rank & ~(bit - 1);  // first of the blocks that this rank has
    TUTTI_TRY(exchange(at(mine), at(mine ^ bit), call.count * bit, rank ^ bit));
  }
  return {};
}

// The message of a broadcast out of place by a library that has one buffer only: the root copies.
inline void copy_at_root(const Call& call, int rank) {
  if (rank == kRoot && call.send != call.recv) {
    std::memcpy(call.recv, call.send, static_cast<std::size_t>(call.count) * sizeof(float));
  }
}

}  // namespace tutti::compare
