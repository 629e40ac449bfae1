// Double binary tree (Sanders, Speck and Traeff, "Two-tree algorithms for full bandwidth broadcast,
// reduction and scan", Parallel Computing 2009). One half of the tile is reduced up one tree to
// rank 0 and broadcast down it again, the other half in the other tree.
//
// At most 4 messages per rank of S/2 bytes, whatever n, in about 4 log2(n) rounds: low latency and
// full bandwidth for many ranks.
#include <algorithm>

#include "collectives/builders.h"
#include "collectives/rank_math.h"
#include "collectives/trees.h"

namespace tutti::collectives {

plan::Program double_binary_tree_all_reduce(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = kTrees, .largest_message = 1, .steps = {}};
  if (n == 1) return p;
  if (rank == 0) {
    for (int tree = 0; tree < kTrees; ++tree) {
      reduce_up(p, tree, rank, shape);
      send_down(p, tree, rank, shape);
    }
    return p;
  }
  // What waits for nobody goes first, what nobody waits for goes last. This order also keeps two
  // neighbours that meet in both trees from waiting for each other.
  const int first_up = is_leaf(0, rank, n) ? 0 : 1;
  const int first_down = is_leaf(1, rank, n) ? 0 : 1;
  reduce_up(p, first_up, rank, shape);
  reduce_up(p, 1 - first_up, rank, shape);
  send_down(p, first_down, rank, shape);
  send_down(p, 1 - first_down, rank, shape);
  return p;
}

plan::CostTerms double_binary_tree_all_reduce_cost(const plan::Shape& shape) {
  if (shape.ranks == 1) return {};
  // Exact for powers of two, a little too much for others.
  const double levels = tree_depth(shape.ranks);
  const double messages = std::min(shape.ranks, 4);
  return {.rounds = 4 * levels - 1,
          .path_bytes = 2 * levels - 0.5,
          .path_reduce = levels,
          .port_messages = messages,
          .port_bytes = messages / 2,
          .port_reduce = 1,
          .message_fraction = 0.5};
}

}  // namespace tutti::collectives
