// Ring (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
// JPDC 2009). Chunk c travels once around the ring, from rank c, and collects every rank's value in
// that order; the sum, complete at rank c - 1, travels around once more.
//
// 2 (n - 1) messages per rank of S/n bytes each: the least bytes that any all-reduce can send, and
// the latency is linear in n.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program ring_all_reduce(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n), .largest_message = 1, .steps = {}};
  if (n == 1) return p;
  p.steps.reserve(4 * static_cast<std::size_t>(n - 1));
  const plan::Rank next = wrap(rank + 1, n);
  const plan::Rank previous = wrap(rank - 1, n);
  p.send(next, chunk_of(rank));
  for (plan::Rank hop = 1; hop < n; ++hop) {
    const std::uint32_t chunk = chunk_of(wrap(rank - hop, n));
    const bool last = hop == n - 1;
    p.recv_reduce(previous, chunk, 1, reduce_flags(true, last));
    p.send(next, chunk);
  }
  for (plan::Rank hop = 0; hop < n - 1; ++hop) {
    const std::uint32_t chunk = chunk_of(wrap(rank - hop, n));
    p.recv(previous, chunk);
    if (hop < n - 2) p.send(next, chunk);
  }
  return p;
}

plan::CostTerms ring_all_reduce_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double hops = n - 1;
  return {.rounds = 2 * hops,
          .path_bytes = 2 * hops / n,
          .path_reduce = hops / n,
          .port_messages = 2 * hops,
          .port_bytes = 2 * hops / n,
          .port_reduce = hops / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
