// Chain, or pipeline (Pjesivac-Grbovic, Angskun, Bosilca, Fagg, Gabriel and Dongarra, "Performance
// analysis of MPI collective operations", Cluster Computing 2007). The broadcast's chain backwards:
// each rank adds its value to what the rank behind it, farther from the root, hands it.
//
// One message per rank of S bytes, the fewest; the first tile needs n - 1 rounds.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program chain_reduce(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p;
  const plan::Rank self = distance_from_root(rank, shape);
  if (self + 1 < shape.ranks) {
    p.recv_reduce(rank_at_distance(self + 1, shape), 0, 1, reduce_flags(false, self == 0));
  }
  if (self > 0) p.send(rank_at_distance(self - 1, shape), 0);
  return p;
}

plan::CostTerms chain_reduce_cost(const plan::Shape& shape) {
  const double hops = shape.ranks - 1;
  const double busy = hops > 0 ? 1 : 0;
  return {.rounds = hops,
          .path_bytes = hops,
          .path_reduce = hops,
          .port_messages = busy,
          .port_bytes = busy,
          .port_reduce = busy};
}

}  // namespace tutti::collectives
