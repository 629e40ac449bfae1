// Chain, or pipeline (Pjesivac-Grbovic, Angskun, Bosilca, Fagg, Gabriel and Dongarra, "Performance
// analysis of MPI collective operations", Cluster Computing 2007). Each rank hands the tile to the
// next one; the tiles of a long message follow one another, so that all links carry data at once.
//
// One message per rank of S bytes, the fewest; the first tile needs n - 1 rounds.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program chain_broadcast(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p;
  const plan::Rank self = distance_from_root(rank, shape);
  if (self > 0) p.recv(rank_at_distance(self - 1, shape), 0);
  if (self + 1 < shape.ranks) p.send(rank_at_distance(self + 1, shape), 0);
  return p;
}

plan::CostTerms chain_broadcast_cost(const plan::Shape& shape) {
  const double hops = shape.ranks - 1;
  const double busy = hops > 0 ? 1 : 0;
  return {.rounds = hops, .path_bytes = hops, .port_messages = busy, .port_bytes = busy};
}

}  // namespace tutti::collectives
