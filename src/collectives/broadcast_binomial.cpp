// Binomial tree (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.2). In round i every rank that has the data sends it
// to one that has not, the largest subtree first.
//
// ceil(log2(n)) rounds, the fewest; the root sends that many messages of S bytes, others fewer.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program binomial_broadcast(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p;
  const plan::Rank self = distance_from_root(rank, shape);
  // The parent of `self` is self without its lowest bit; its children add one lower bit each.
  plan::Rank subtree = plan::Rank{1} << ceil_log2(shape.ranks);
  if (self != 0) {
    subtree = self & -self;
    p.recv(rank_at_distance(self - subtree, shape), 0);
  }
  for (plan::Rank bit = subtree / 2; bit >= 1; bit /= 2) {
    if (bit < shape.ranks - self) p.send(rank_at_distance(self + bit, shape), 0);
  }
  return p;
}

plan::CostTerms binomial_broadcast_cost(const plan::Shape& shape) {
  const double rounds = ceil_log2(shape.ranks);
  return {.rounds = rounds, .path_bytes = rounds, .port_messages = rounds, .port_bytes = rounds};
}

}  // namespace tutti::collectives
