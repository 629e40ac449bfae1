// Binomial tree (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005). Every rank collects the blocks of its subtree, the smallest
// child's first, and sends them to its parent in one message.
//
// ceil(log2(n)) rounds, the fewest, and the root receives as many messages with (n - 1)/n S bytes
// in all, the least; but blocks are forwarded.
#include "collectives/builders.h"
#include "collectives/ranges.h"
#include "collectives/subtree.h"

namespace tutti::collectives {

plan::Program binomial_gather(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{
      .chunks = chunk_of(n), .largest_message = chunk_of(largest_subtree(n)), .steps = {}};
  const plan::Rank self = distance_from_root(rank, shape);
  const plan::Rank size = subtree_size(self, n);
  for (plan::Rank step = 1; step < size; step *= 2) {
    const plan::Rank child = rank_at_distance(self + step, shape);
    recv_around(p, child, child, subtree_size(self + step, n), n);
  }
  if (self > 0) send_around(p, rank_at_distance(subtree_parent(self), shape), rank, size, n);
  return p;
}

plan::CostTerms binomial_gather_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double rounds = ceil_log2(shape.ranks);
  const double share = (n - 1) / n;
  return {.rounds = rounds,
          .path_bytes = share,
          .port_messages = rounds,
          .port_bytes = share,
          .message_fraction = largest_subtree(shape.ranks) / n};
}

}  // namespace tutti::collectives
