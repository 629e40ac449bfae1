// Dissemination (Hensgen, Finkel and Manber, "Two algorithms for barrier synchronization",
// International Journal of Parallel Programming 1988). In round i a rank tells the one 2^i ahead of
// it all it has heard; after the last round it has heard, some of it twice, of every rank.
//
// ceil(log2(n)) messages per rank in as many rounds: the fewest rounds, for any n.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program dissemination_barrier(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p;
  for (plan::Rank distance = 1; distance < n; distance *= 2) {
    p.send(wrap(rank + distance, n), 0);
    const bool last = distance * 2 >= n;
    p.recv_reduce(wrap(rank - distance, n), 0, 1, reduce_flags(true, last));
  }
  return p;
}

plan::CostTerms dissemination_barrier_cost(const plan::Shape& shape) {
  const double rounds = ceil_log2(shape.ranks);
  return {.rounds = rounds,
          .path_bytes = rounds,
          .path_reduce = rounds,
          .port_messages = rounds,
          .port_bytes = rounds,
          .port_reduce = rounds};
}

}  // namespace tutti::collectives
