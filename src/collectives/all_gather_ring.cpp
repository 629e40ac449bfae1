// Ring (Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in
// MPICH", IJHPCA 2005, section 4.1). Every block travels once around the ring.
//
// n - 1 messages per rank of S/n bytes each, between neighbours only: the least bytes, and the
// latency is linear in n.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program ring_all_gather(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n), .largest_message = 1, .steps = {}};
  if (n == 1) return p;
  const plan::Rank next = wrap(rank + 1, n);
  const plan::Rank previous = wrap(rank - 1, n);
  p.steps.reserve(2 * static_cast<std::size_t>(n - 1));
  for (plan::Rank hop = 0; hop < n - 1; ++hop) {
    p.send(next, chunk_of(wrap(rank - hop, n)));
    p.recv(previous, chunk_of(wrap(rank - hop - 1, n)));
  }
  return p;
}

plan::CostTerms ring_all_gather_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double hops = n - 1;
  return {.rounds = hops,
          .path_bytes = hops / n,
          .port_messages = hops,
          .port_bytes = hops / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
