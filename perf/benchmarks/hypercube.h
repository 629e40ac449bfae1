// The exchanges along the edges of a hypercube, whoever moves the data.
#pragma once

#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/try.h"
#include "common/benchmark.h"

namespace tutti::perf {

// In round k ranks 2^k apart exchange all they have: exchange(sent, received, elements, peer). All
// blocks end up in `recv`.
template <typename Exchange>
Status exchange_along_edges(const void* send, void* recv, const Shape& shape, int rank, int ranks,
                            Exchange exchange) {
  if ((ranks & (ranks - 1)) != 0) {
    return error(Code::invalid_argument,
                 "a hypercube has 2, 4, 8, ... ranks, and these are {}; start another number",
                 ranks);
  }
  auto* const blocks = static_cast<std::byte*>(recv);
  const auto at = [&](int block) { return blocks + block * shape.bytes(); };
  if (send != at(rank) && shape.count > 0) {
    std::memcpy(at(rank), send, static_cast<std::size_t>(shape.bytes()));
  }
  for (int bit = 1; bit < ranks; bit *= 2) {
    const int mine = rank & ~(bit - 1);  // first of the blocks that this rank has
    TUTTI_TRY(exchange(at(mine), at(mine ^ bit), shape.count * bit, rank ^ bit));
  }
  return {};
}

}  // namespace tutti::perf
