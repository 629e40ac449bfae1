// Direct: every rank sends its block to every other, the next one first, so that no rank is sent
// two blocks at once. The reference plan of engines whose ranks read each other's memory.
//
// n - 1 messages per rank of S/n bytes each; no block is forwarded, so no rank waits for any but
// the sender.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program direct_all_gather(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n), .largest_message = 1, .steps = {}};
  p.steps.reserve(2 * static_cast<std::size_t>(n));
  for (plan::Rank distance = 1; distance < n; ++distance) {
    p.send(wrap(rank + distance, n), chunk_of(rank));
  }
  for (plan::Rank distance = 1; distance < n; ++distance) {
    const plan::Rank peer = wrap(rank - distance, n);
    p.recv(peer, chunk_of(peer));
  }
  return p;
}

plan::CostTerms direct_all_gather_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double sends = n - 1;
  return {.rounds = sends,
          .path_bytes = sends / n,
          .port_messages = sends,
          .port_bytes = sends / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
