// Scatter and all-gather (Barnett, Gupta, Payne, Shuler, van de Geijn and Watts, "Interprocessor
// collective communication library", SHPCC 1994; Thakur, Rabenseifner and Gropp, IJHPCA 2005,
// section 4.2). The root scatters n chunks down a binomial tree, then the chunks travel around a
// ring. No rank is sent a chunk that the scatter left with it.
//
// About 2 (n - 1)/n S bytes per rank, in n - 1 + log2(n) rounds: for long messages that are not
// long enough to be pipelined.
#include "collectives/builders.h"
#include "collectives/rank_math.h"
#include "collectives/subtree.h"

namespace tutti::collectives {
namespace {

// What the scatter brings to the rank at distance `self` from the root: [self, end).
plan::Rank scatter_end(plan::Rank self, plan::Rank n) {
  return self + subtree_size(self, n);
}

void scatter(plan::Program& p, plan::Rank self, const plan::Shape& shape) {
  const plan::Rank end = scatter_end(self, shape.ranks);
  if (self != 0) {
    p.recv(rank_at_distance(subtree_parent(self), shape), chunk_of(self), chunk_of(end - self));
  }
  plan::Rank kept = end;
  while (kept - self > 1) {
    const plan::Rank child = self + power_of_two_in(kept - self - 1);
    p.send(rank_at_distance(child, shape), chunk_of(child), chunk_of(kept - child));
    kept = child;
  }
}

void all_gather(plan::Program& p, plan::Rank self, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  const plan::Rank next = wrap(self + 1, n);
  const auto holds = [n](plan::Rank rank, plan::Rank chunk) {
    return chunk >= rank && chunk < scatter_end(rank, n);
  };
  for (plan::Rank hop = 0; hop < n - 1; ++hop) {
    const plan::Rank out = wrap(self - hop, n);
    const plan::Rank in = wrap(out - 1, n);
    if (!holds(next, out)) p.send(rank_at_distance(next, shape), chunk_of(out));
    if (!holds(self, in)) p.recv(rank_at_distance(wrap(self - 1, n), shape), chunk_of(in));
  }
}

}  // namespace

plan::Program scatter_all_gather_broadcast(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p{.chunks = chunk_of(shape.ranks),
                  .largest_message = chunk_of(largest_subtree(shape.ranks)),
                  .steps = {}};
  const plan::Rank self = distance_from_root(rank, shape);
  scatter(p, self, shape);
  all_gather(p, self, shape);
  return p;
}

plan::CostTerms scatter_all_gather_broadcast_cost(const plan::Shape& shape) {
  if (shape.ranks == 1) return {};
  const double n = shape.ranks;
  const double rounds = ceil_log2(shape.ranks);
  return {.rounds = rounds + n - 1,
          .path_bytes = 2 * (n - 1) / n,
          .port_messages = rounds + n - 1,
          .port_bytes = 2 * (n - 1) / n,
          .message_fraction = largest_subtree(shape.ranks) / n};
}

}  // namespace tutti::collectives
