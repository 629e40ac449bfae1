// Direct: ranks 0 and 1 each reduce one half of the tile, strictly in rank order 0, 1, ..., n - 1,
// and send the result to all. The reference plan of the native shared-memory all-reduce, which
// combines in that order too: equal inputs give equal bits.
//
// Two ranks and no more, because a step combines an incoming value with the rank's own: only ranks
// 0 and 1 can start with the values of ranks 0 and 1 without memory to keep others' values in.
//
// Two exchanges. Ranks 0 and 1 send n messages of S/2 bytes each, the others two.
#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

constexpr plan::Rank kReducers = 2;

void reduce_and_send(plan::Program& p, plan::Rank rank, plan::Rank n) {
  const std::uint32_t chunk = chunk_of(rank);
  const plan::Rank last = rank == n - 1 ? n - 2 : n - 1;
  for (plan::Rank peer = 0; peer < n; ++peer) {
    if (peer == rank) continue;
    p.recv_reduce(peer, chunk, 1, reduce_flags(peer < rank, peer == last));
  }
  for (plan::Rank peer = 0; peer < n; ++peer) {
    if (peer != rank) p.send(peer, chunk);
  }
}

}  // namespace

plan::Program direct_all_reduce(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(kReducers), .largest_message = 1, .steps = {}};
  if (n == 1) return p;
  for (plan::Rank reducer = 0; reducer < kReducers; ++reducer) {
    if (reducer != rank) p.send(reducer, chunk_of(reducer));
  }
  if (rank < kReducers) reduce_and_send(p, rank, n);
  for (plan::Rank reducer = 0; reducer < kReducers; ++reducer) {
    if (reducer != rank) p.recv(reducer, chunk_of(reducer));
  }
  return p;
}

plan::CostTerms direct_all_reduce_cost(const plan::Shape& shape) {
  if (shape.ranks == 1) return {};
  const double peers = shape.ranks - 1;
  // Others than the reducers send to rank 1 after they have sent to rank 0.
  const double rounds = 2 * peers + (shape.ranks > 2 ? 1 : 0);
  return {.rounds = rounds,
          .path_bytes = rounds / 2,
          .path_reduce = peers / 2,
          .port_messages = peers + 1,
          .port_bytes = (peers + 1) / 2,
          .port_reduce = peers / 2,
          .message_fraction = 0.5};
}

}  // namespace tutti::collectives
