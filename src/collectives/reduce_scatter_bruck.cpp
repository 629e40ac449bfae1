// Bruck's all-gather backwards (Bruck, Ho, Kipnis, Upfal and Weathersby, IEEE TPDS 1997, section 4;
// as a reduce-scatter: Bernaschi, Iannello and Lauria, "Efficient implementation of reduce-scatter
// in MPI", Journal of Systems Architecture 2003). In round i a rank sends the second half of the
// blocks that it still holds, those from 2^i ranks ahead on, to the rank 2^i ahead.
//
// ceil(log2(n)) messages per rank, for any n, and (n - 1)/n S bytes: the fewest rounds and the
// least bytes, but messages of up to S/2.
#include <algorithm>

#include "collectives/builders.h"
#include "collectives/ranges.h"
#include "collectives/subtree.h"

namespace tutti::collectives {

plan::Program bruck_reduce_scatter(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{
      .chunks = chunk_of(n), .largest_message = chunk_of(largest_subtree(n)), .steps = {}};
  if (n == 1) return p;
  for (plan::Rank distance = power_of_two_in(n - 1); distance >= 1; distance /= 2) {
    const plan::Rank count = std::min(distance, n - distance);
    const plan::Rank to = wrap(rank + distance, n);
    send_around(p, to, to, count, n);
    recv_reduce_around(p, wrap(rank - distance, n), rank, count, n,
                       reduce_flags(true, distance == 1));
  }
  return p;
}

plan::CostTerms bruck_reduce_scatter_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double rounds = ceil_log2(shape.ranks);
  const double share = (n - 1) / n;
  return {.rounds = rounds,
          .path_bytes = share,
          .path_reduce = share,
          .port_messages = rounds,
          .port_bytes = share,
          .port_reduce = share,
          .message_fraction = largest_subtree(shape.ranks) / n};
}

}  // namespace tutti::collectives
