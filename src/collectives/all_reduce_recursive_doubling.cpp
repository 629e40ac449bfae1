// Recursive doubling (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.5). In round i, ranks 2^i apart exchange all they
// have and both combine the two values, in rank order so that both get the same bits.
//
// log2(n) messages per rank of S bytes each: the fewest rounds, for small messages. Other n than
// powers of two fold, for two more rounds.
#include "collectives/builders.h"
#include "collectives/fold.h"

namespace tutti::collectives {

plan::Program recursive_doubling_all_reduce(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p;
  const Fold fold(shape.ranks);
  fold.enter(p, rank);
  if (fold.sits_out(rank)) return p;
  for (plan::Rank bit = 1; bit < fold.core; bit *= 2) {
    const plan::Rank peer = fold.rank_at(fold.position(rank) ^ bit);
    const bool last = bit * 2 == fold.core;
    p.send(peer, 0);
    p.recv_reduce(peer, 0, 1, reduce_flags(peer < rank, last));
  }
  fold.leave(p, rank);
  return p;
}

plan::CostTerms recursive_doubling_all_reduce_cost(const plan::Shape& shape) {
  const Fold fold(shape.ranks);
  const double rounds = ceil_log2(fold.core);
  const double folds = fold.extra > 0 ? 1 : 0;
  return {.rounds = rounds + 2 * folds,
          .path_bytes = rounds + 2 * folds,
          .path_reduce = rounds + folds,
          .port_messages = rounds + folds,
          .port_bytes = rounds + folds,
          .port_reduce = rounds + folds};
}

}  // namespace tutti::collectives
