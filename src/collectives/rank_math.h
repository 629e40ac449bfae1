// Arithmetic on ranks that several builders share. Pure functions.
#pragma once

#include <bit>
#include <cstdint>

#include "plan/program.h"

namespace tutti::collectives {

// value mod n, never negative. REQUIRES: value >= -n.
inline plan::Rank wrap(plan::Rank value, plan::Rank n) {
  return (value + n) % n;
}

inline std::uint32_t chunk_of(plan::Rank rank) {
  return static_cast<std::uint32_t>(rank);
}

// The block from one rank to another in an all-to-all.
inline std::uint32_t block_between(plan::Rank from, plan::Rank to, plan::Rank n) {
  return chunk_of(from) * chunk_of(n) + chunk_of(to);
}

// The largest power of two that is at most n, and the smallest k with 2^k >= n. REQUIRES: n >= 1.
inline plan::Rank power_of_two_in(plan::Rank n) {
  return static_cast<plan::Rank>(std::bit_floor(static_cast<std::uint32_t>(n)));
}
inline int ceil_log2(plan::Rank n) {
  return static_cast<int>(std::bit_width(static_cast<std::uint32_t>(n) - 1U));
}

// The flags of a recv_reduce.
inline std::uint8_t reduce_flags(bool incoming_first, bool final) {
  return static_cast<std::uint8_t>((incoming_first ? plan::kIncomingFirst : 0) |
                                   (final ? plan::kFinal : 0));
}

// A rooted collective is built for root 0: there, a rank is its distance from the root.
inline plan::Rank distance_from_root(plan::Rank rank, const plan::Shape& shape) {
  return wrap(rank - shape.root, shape.ranks);
}
inline plan::Rank rank_at_distance(plan::Rank distance, const plan::Shape& shape) {
  return wrap(distance + shape.root, shape.ranks);
}

}  // namespace tutti::collectives
