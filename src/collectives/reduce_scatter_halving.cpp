// Recursive halving (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.3). In each round a rank exchanges halves of what it
// holds with the rank that far away, and reduces the half that its own block is in.
//
// log2(n) messages per rank and (n - 1)/n S bytes: the fewest rounds and the least bytes, but
// messages of up to S/2. Other n than powers of two fold, for two more rounds and S bytes more.
#include "collectives/builders.h"
#include "collectives/fold.h"

namespace tutti::collectives {

plan::Program halving_reduce_scatter(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  const Fold fold(n);
  plan::Program p{.chunks = chunk_of(n),
                  .largest_message = chunk_of(fold.extra > 0 || n == 1 ? n : n / 2),
                  .steps = {}};
  if (fold.sits_out(rank)) {
    return p.send(rank - 1, 0, chunk_of(n)).recv(rank - 1, chunk_of(rank));
  }
  if (fold.paired(rank)) p.recv_reduce(rank + 1, 0, chunk_of(n));
  const plan::Rank self = fold.position(rank);
  for (plan::Rank half = fold.core / 2; half >= 1; half /= 2) {
    const plan::Rank peer = fold.rank_at(self ^ half);
    const plan::Rank kept = self & -half;  // positions [kept, kept + half)
    const plan::Rank given = kept ^ half;
    p.send(peer, chunk_of(fold.rank_at(given)), chunk_of(fold.ranks_in(given, half)));
    p.recv_reduce(peer, chunk_of(fold.rank_at(kept)), chunk_of(fold.ranks_in(kept, half)),
                  reduce_flags(peer < rank, half == 1));
  }
  if (fold.paired(rank)) p.send(rank + 1, chunk_of(rank + 1));
  return p;
}

plan::CostTerms halving_reduce_scatter_cost(const plan::Shape& shape) {
  if (shape.ranks == 1) return {};
  const Fold fold(shape.ranks);
  const double n = shape.ranks;
  const double rounds = ceil_log2(fold.core);
  const double share = fold.largest_groups() / n;
  const double folds = fold.extra > 0 ? 1 : 0;
  return {.rounds = rounds + 2 * folds,
          .path_bytes = share + folds * (1 + 1 / n),
          .path_reduce = share + folds,
          .port_messages = rounds + folds,
          .port_bytes = share + folds,
          .port_reduce = share + folds,
          .message_fraction = folds > 0 ? 1 : 0.5};
}

}  // namespace tutti::collectives
