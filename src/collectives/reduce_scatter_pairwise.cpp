// Pairwise exchange (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.3). In round k a rank sends the block of the rank k
// ahead to it, straight from the input, and adds the block that the rank k behind has for it.
//
// n - 1 messages per rank of S/n bytes each; no partial sum is forwarded or kept for others.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program pairwise_reduce_scatter(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n), .largest_message = 1, .steps = {}};
  p.steps.reserve(2 * static_cast<std::size_t>(n));
  for (plan::Rank distance = 1; distance < n; ++distance) {
    const plan::Rank to = wrap(rank + distance, n);
    p.send(to, chunk_of(to));
    const bool last = distance == n - 1;
    p.recv_reduce(wrap(rank - distance, n), chunk_of(rank), 1, reduce_flags(true, last));
  }
  return p;
}

plan::CostTerms pairwise_reduce_scatter_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double sends = n - 1;
  return {.rounds = sends,
          .path_bytes = sends / n,
          .path_reduce = sends / n,
          .port_messages = sends,
          .port_bytes = sends / n,
          .port_reduce = sends / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
