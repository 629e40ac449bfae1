// Binomial tree (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.2). Every rank receives the blocks of its subtree in
// one message and sends each child its part, the largest subtree first.
//
// ceil(log2(n)) rounds, the fewest, and the root sends as many messages with (n - 1)/n S bytes in
// all, the least; but blocks are forwarded.
#include "collectives/builders.h"
#include "collectives/ranges.h"
#include "collectives/subtree.h"

namespace tutti::collectives {

plan::Program binomial_scatter(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{
      .chunks = chunk_of(n), .largest_message = chunk_of(largest_subtree(n)), .steps = {}};
  const plan::Rank self = distance_from_root(rank, shape);
  const plan::Rank size = subtree_size(self, n);
  if (self > 0) recv_around(p, rank_at_distance(subtree_parent(self), shape), rank, size, n);
  for (plan::Rank step = subtree_bound(self, n) / 2; step >= 1; step /= 2) {
    if (step >= size) continue;
    const plan::Rank child = rank_at_distance(self + step, shape);
    send_around(p, child, child, subtree_size(self + step, n), n);
  }
  return p;
}

plan::CostTerms binomial_scatter_cost(const plan::Shape& shape) {
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
