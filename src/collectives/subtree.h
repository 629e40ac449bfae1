// The binomial tree of the rooted collectives (Thakur, Rabenseifner and Gropp, "Optimization of
// collective communication operations in MPICH", IJHPCA 2005, section 4.2). Nodes are distances
// from the root; a node's parent lacks its lowest bit, and its subtree is the nodes from itself to
// the next one that has no bit lower than its own. Pure functions.
#pragma once

#include <algorithm>

#include "collectives/rank_math.h"
#include "plan/program.h"

namespace tutti::collectives {

// The distance of a node's first child that cannot be: its children are the node + 1, 2, 4, ...
// below this.
inline plan::Rank subtree_bound(plan::Rank node, plan::Rank n) {
  return node == 0 ? plan::Rank{1} << ceil_log2(n) : node & -node;
}

// The nodes in the subtree of a node, itself included.
inline plan::Rank subtree_size(plan::Rank node, plan::Rank n) {
  return std::min(subtree_bound(node, n), n - node);
}

// REQUIRES: node > 0.
inline plan::Rank subtree_parent(plan::Rank node) {
  return node - (node & -node);
}

// The largest subtree below the root: the largest message when subtrees travel whole.
inline plan::Rank largest_subtree(plan::Rank n) {
  if (n <= 2) return 1;
  const plan::Rank last_child = power_of_two_in(n - 1);
  return std::max(n - last_child, last_child / 2);
}

}  // namespace tutti::collectives
