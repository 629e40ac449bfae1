// Direct: every rank sends all its blocks, the next rank's first so that no rank is sent two at
// once, and only then takes what it is sent. Not even a late rank delays the others' sends.
//
// n - 1 messages per rank of S/n bytes each, all of them under way at once.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program direct_all_to_all(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n) * chunk_of(n), .largest_message = 1, .steps = {}};
  p.steps.reserve(2 * static_cast<std::size_t>(n));
  for (plan::Rank distance = 1; distance < n; ++distance) {
    const plan::Rank to = wrap(rank + distance, n);
    p.send(to, block_between(rank, to, n));
  }
  for (plan::Rank distance = 1; distance < n; ++distance) {
    const plan::Rank from = wrap(rank - distance, n);
    p.recv(from, block_between(from, rank, n));
  }
  return p;
}

plan::CostTerms direct_all_to_all_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double sends = n - 1;
  return {.rounds = sends,
          .path_bytes = sends / n,
          .port_messages = sends,
          .port_bytes = sends / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
