// Double binary tree (Sanders, Speck and Traeff, "Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", Parallel Computing 2009). One half of the tile goes down one tree, the other
// half down the other; a rank forwards at most one of them.
//
// At most 2 messages per rank of S/2 bytes, whatever n, in about 2 log2(n) rounds.
#include "collectives/builders.h"
#include "collectives/rank_math.h"
#include "collectives/trees.h"

namespace tutti::collectives {

plan::Program double_binary_tree_broadcast(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p{.chunks = kTrees, .largest_message = 1, .steps = {}};
  const plan::Rank self = distance_from_root(rank, shape);
  // Forwarding comes before mere receiving; the root forwards both halves.
  const int first = self == 0 || is_leaf(1, self, shape.ranks) ? 0 : 1;
  send_down(p, first, rank, shape);
  send_down(p, 1 - first, rank, shape);
  return p;
}

plan::CostTerms double_binary_tree_broadcast_cost(const plan::Shape& shape) {
  if (shape.ranks == 1) return {};
  // Exact for powers of two, a little too much for others.
  const double levels = tree_depth(shape.ranks);
  return {.rounds = 2 * levels,
          .path_bytes = levels,
          .port_messages = 2,
          .port_bytes = 1,
          .message_fraction = 0.5};
}

}  // namespace tutti::collectives
