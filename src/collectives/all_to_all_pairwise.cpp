// Pairwise exchange (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.4) in the rounds of a tournament: in each round the
// ranks form pairs that exchange their blocks. A block is sent before the one that takes its place
// is received, so that it is right in place.
//
// n - 1 messages per rank of S/n bytes each, one in each direction at a time. Odd n take n rounds,
// in each of which one rank pauses.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

// Round `round` of a tournament (the circle method): ranks whose sum is `round` modulo an odd
// number meet, and the one that would meet itself meets the last rank if n is even, or nobody
// (itself).
plan::Rank partner(plan::Rank rank, plan::Rank round, plan::Rank n) {
  const plan::Rank circle = n % 2 == 0 ? n - 1 : n;
  // Twice what it meets is `round`, modulo the circle.
  if (rank == circle) return round % 2 == 0 ? round / 2 : (round + circle) / 2;
  const plan::Rank peer = wrap(round - rank, circle);
  return peer == rank && n % 2 == 0 ? n - 1 : peer;
}

}  // namespace

plan::Program pairwise_all_to_all(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n) * chunk_of(n), .largest_message = 1, .steps = {}};
  p.steps.reserve(2 * static_cast<std::size_t>(n));
  const plan::Rank rounds = n % 2 == 0 ? n - 1 : n;
  for (plan::Rank round = 0; round < rounds; ++round) {
    const plan::Rank peer = partner(rank, round, n);
    if (peer == rank) continue;
    p.send(peer, block_between(rank, peer, n)).recv(peer, block_between(peer, rank, n));
  }
  return p;
}

plan::CostTerms pairwise_all_to_all_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double sends = n - 1;
  const double rounds = shape.ranks % 2 == 0 || shape.ranks == 1 ? sends : n;
  return {.rounds = rounds,
          .path_bytes = rounds / n,
          .port_messages = sends,
          .port_bytes = sends / n,
          .message_fraction = 1 / n};
}

}  // namespace tutti::collectives
