// Bruck (Bruck, Ho, Kipnis, Upfal and Weathersby, "Efficient algorithms for all-to-all
// communications in multiport message-passing systems", IEEE TPDS 1997, section 4). In round i a
// rank holds the 2^i blocks from its own on and sends them to the rank 2^i before it; the last
// round sends what is still missing.
//
// ceil(log2(n)) messages per rank, for any n, and (n - 1)/n S bytes: the fewest rounds and the
// least bytes, but messages of up to S/2. Global names of blocks spare the rotation of the
// original.
#include <algorithm>

#include "collectives/builders.h"
#include "collectives/ranges.h"
#include "collectives/subtree.h"

namespace tutti::collectives {

plan::Program bruck_all_gather(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{
      .chunks = chunk_of(n), .largest_message = chunk_of(largest_subtree(n)), .steps = {}};
  for (plan::Rank distance = 1; distance < n; distance *= 2) {
    const plan::Rank count = std::min(distance, n - distance);
    const plan::Rank from = wrap(rank + distance, n);
    send_around(p, wrap(rank - distance, n), rank, count, n);
    recv_around(p, from, from, count, n);
  }
  return p;
}

plan::CostTerms bruck_all_gather_cost(const plan::Shape& shape) {
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
