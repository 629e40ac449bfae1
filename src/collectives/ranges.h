// Messages of the chunks of consecutive ranks, where rank 0 follows rank n - 1: one part, or two
// when the range goes around. Pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "collectives/rank_math.h"
#include "plan/program.h"

namespace tutti::collectives {

// Calls add(first chunk, number of chunks) for each part of [first, first + count).
// REQUIRES: 0 <= first < n, 1 <= count <= n.
template <typename Add>
void add_around(plan::Program& p, plan::Rank first, plan::Rank count, plan::Rank n, Add add) {
  const plan::Rank before_end = std::min(count, n - first);
  add(chunk_of(first), chunk_of(before_end));
  if (count == before_end) return;
  p.more();
  add(0, chunk_of(count - before_end));
}

inline void send_around(plan::Program& p, plan::Rank peer, plan::Rank first, plan::Rank count,
                        plan::Rank n) {
  add_around(p, first, count, n,
             [&](std::uint32_t chunk, std::uint32_t chunks) { p.send(peer, chunk, chunks); });
}

inline void recv_around(plan::Program& p, plan::Rank peer, plan::Rank first, plan::Rank count,
                        plan::Rank n) {
  add_around(p, first, count, n,
             [&](std::uint32_t chunk, std::uint32_t chunks) { p.recv(peer, chunk, chunks); });
}

inline void recv_reduce_around(plan::Program& p, plan::Rank peer, plan::Rank first,
                               plan::Rank count, plan::Rank n, std::uint8_t flags) {
  add_around(p, first, count, n, [&](std::uint32_t chunk, std::uint32_t chunks) {
    p.recv_reduce(peer, chunk, chunks, flags);
  });
}

}  // namespace tutti::collectives
