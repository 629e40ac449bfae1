// Flat: every rank sends its block to the root, which takes them in the order of distance.
//
// The root receives n - 1 messages of S/n bytes; nobody forwards or keeps others' blocks.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program flat_gather(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p{.chunks = chunk_of(shape.ranks), .largest_message = 1, .steps = {}};
  if (rank != shape.root) return p.send(shape.root, chunk_of(rank));
  for (plan::Rank distance = 1; distance < shape.ranks; ++distance) {
    const plan::Rank peer = rank_at_distance(distance, shape);
    p.recv(peer, chunk_of(peer));
  }
  return p;
}

plan::CostTerms flat_gather_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double messages = n - 1;
  return {.rounds = messages,
          .path_bytes = messages / n,
          .port_messages = messages,
          .port_bytes = messages / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
