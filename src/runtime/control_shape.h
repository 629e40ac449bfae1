// The shape of the control tree: rank r's parent is (r - 1) / 2, its children 2r + 1 and 2r + 2, as
// in a binary heap. Pure functions; each costs O(log n).
#pragma once

#include <algorithm>
#include <cstdint>

namespace tutti::runtime::control {

// REQUIRES: rank > 0.
inline int parent(int rank) {
  return (rank - 1) / 2;
}

// Ranks in the subtree below and including `top`, of `size` ranks in all.
inline int subtree_ranks(int top, int size) {
  std::int64_t ranks = 0;
  // Each level of the subtree is one run of consecutive ranks.
  for (std::int64_t first = top, last = top; first < size;
       first = 2 * first + 1, last = 2 * last + 2) {
    ranks += std::min<std::int64_t>(last, size - 1) - first + 1;
  }
  return static_cast<int>(ranks);
}

// The neighbour of `rank` through which `target` is reached. REQUIRES: rank != target.
inline int next_hop(int rank, int target) {
  while (target > rank) {
    const int up = parent(target);
    if (up == rank) return target;
    target = up;
  }
  return parent(rank);
}

}  // namespace tutti::runtime::control
