// Binomial tree (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.4). The broadcast's tree backwards: every rank adds
// its children's values to its own, the smallest subtree first, and sends the sum to its parent.
//
// ceil(log2(n)) rounds, the fewest; the root receives that many messages of S bytes, others fewer.
// Values are combined in the order of their ranks if the root is rank 0, else in that order turned
// around the end.
#include "collectives/builders.h"
#include "collectives/subtree.h"

namespace tutti::collectives {

plan::Program binomial_reduce(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p;
  const plan::Rank self = distance_from_root(rank, shape);
  const plan::Rank size = subtree_size(self, n);
  for (plan::Rank step = 1; step < size; step *= 2) {
    const bool last = self == 0 && step * 2 >= n;
    p.recv_reduce(rank_at_distance(self + step, shape), 0, 1, reduce_flags(false, last));
  }
  if (self > 0) p.send(rank_at_distance(subtree_parent(self), shape), 0);
  return p;
}

plan::CostTerms binomial_reduce_cost(const plan::Shape& shape) {
  const double rounds = ceil_log2(shape.ranks);
  return {.rounds = rounds,
          .path_bytes = rounds,
          .path_reduce = rounds,
          .port_messages = rounds,
          .port_bytes = rounds,
          .port_reduce = rounds};
}

}  // namespace tutti::collectives
