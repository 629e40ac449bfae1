// Flat: every rank sends its value to the root, which adds those of lower ranks on the left, the
// nearest first, then those of higher ranks on the right. So the operands stand in rank order, as
// far as one that starts with its own value can have them.
//
// The root receives n - 1 messages of S bytes; no rank waits for any but the root.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program flat_reduce(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p;
  const plan::Rank n = shape.ranks;
  if (rank != shape.root) return p.send(shape.root, 0);
  for (plan::Rank peer = rank - 1; peer >= 0; --peer) {
    p.recv_reduce(peer, 0, 1, reduce_flags(true, peer == 0 && rank == n - 1));
  }
  for (plan::Rank peer = rank + 1; peer < n; ++peer) {
    p.recv_reduce(peer, 0, 1, reduce_flags(false, peer == n - 1));
  }
  return p;
}

plan::CostTerms flat_reduce_cost(const plan::Shape& shape) {
  const double messages = shape.ranks - 1;
  return {.rounds = messages,
          .path_bytes = messages,
          .path_reduce = messages,
          .port_messages = messages,
          .port_bytes = messages,
          .port_reduce = messages};
}

}  // namespace tutti::collectives
