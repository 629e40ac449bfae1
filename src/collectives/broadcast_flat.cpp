// Flat: the root sends to every rank, in the order of their distance from it. The reference plan of
// the native shared-memory broadcast, whose ranks all read the root's data.
//
// The root sends n - 1 messages of S bytes; no rank waits for any but the root.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program flat_broadcast(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p;
  if (rank != shape.root) return p.recv(shape.root, 0);
  for (plan::Rank distance = 1; distance < shape.ranks; ++distance) {
    p.send(rank_at_distance(distance, shape), 0);
  }
  return p;
}

plan::CostTerms flat_broadcast_cost(const plan::Shape& shape) {
  const double sends = shape.ranks - 1;
  return {.rounds = sends, .path_bytes = sends, .port_messages = sends, .port_bytes = sends};
}

}  // namespace tutti::collectives
