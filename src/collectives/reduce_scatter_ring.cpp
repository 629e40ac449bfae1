// Ring (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
// JPDC 2009). The block of rank r starts at rank r + 1 and collects every rank's value on its way
// around the ring, until it is complete at rank r.
//
// n - 1 messages per rank of S/n bytes each, between neighbours only: the least bytes, and the
// latency is linear in n.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program ring_reduce_scatter(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n), .largest_message = 1, .steps = {}};
  if (n == 1) return p;
  const plan::Rank next = wrap(rank + 1, n);
  const plan::Rank previous = wrap(rank - 1, n);
  p.steps.reserve(2 * static_cast<std::size_t>(n - 1));
  for (plan::Rank hop = 1; hop < n; ++hop) {
    p.send(next, chunk_of(wrap(rank - hop, n)));
    const bool last = hop == n - 1;
    p.recv_reduce(previous, chunk_of(wrap(rank - hop - 1, n)), 1, reduce_flags(true, last));
  }
  return p;
}

plan::CostTerms ring_reduce_scatter_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double hops = n - 1;
  return {.rounds = hops,
          .path_bytes = hops / n,
          .path_reduce = hops / n,
          .port_messages = hops,
          .port_bytes = hops / n,
          .port_reduce = hops / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
