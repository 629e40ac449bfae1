// Recursive doubling (Thakur, Rabenseifner and Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 2005, section 4.1). In round i, ranks 2^i apart exchange all the
// blocks they have: those of 2^i ranks in a row.
//
// log2(n) messages per rank and (n - 1)/n S bytes: the fewest rounds and the least bytes, but
// messages of up to S/2. Other n than powers of two fold, for two more rounds and nearly S bytes
// more.
#include "collectives/builders.h"
#include "collectives/fold.h"
#include "collectives/ranges.h"

namespace tutti::collectives {

plan::Program recursive_doubling_all_gather(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  const Fold fold(n);
  const plan::Rank largest = fold.extra > 0 ? n - 1 : n / 2;
  plan::Program p{
      .chunks = chunk_of(n), .largest_message = chunk_of(n == 1 ? 1 : largest), .steps = {}};
  // Those that sit out are sent all blocks but their own.
  if (fold.sits_out(rank)) {
    p.send(rank - 1, chunk_of(rank));
    recv_around(p, rank - 1, rank + 1, n - 1, n);
    return p;
  }
  if (fold.paired(rank)) p.recv(rank + 1, chunk_of(rank + 1));
  const plan::Rank self = fold.position(rank);
  for (plan::Rank count = 1; count < fold.core; count *= 2) {
    const plan::Rank peer = fold.rank_at(self ^ count);
    const plan::Rank held = self & -count;  // positions [held, held + count)
    const plan::Rank lacked = held ^ count;
    p.send(peer, chunk_of(fold.rank_at(held)), chunk_of(fold.ranks_in(held, count)));
    p.recv(peer, chunk_of(fold.rank_at(lacked)), chunk_of(fold.ranks_in(lacked, count)));
  }
  if (fold.paired(rank)) send_around(p, rank + 1, rank + 2, n - 1, n);
  return p;
}

plan::CostTerms recursive_doubling_all_gather_cost(const plan::Shape& shape) {
  if (shape.ranks == 1) return {};
  const Fold fold(shape.ranks);
  const double n = shape.ranks;
  const double rounds = ceil_log2(fold.core);
  const double share = fold.largest_groups() / n;
  const double rest = (n - 1) / n;
  const double folds = fold.extra > 0 ? 1 : 0;
  return {.rounds = rounds + 2 * folds,
          .path_bytes = share + folds,
          .port_messages = rounds + folds,
          .port_bytes = share + folds * rest,
          .message_fraction = folds > 0 ? rest : 0.5};
}

}  // namespace tutti::collectives
