// Halving and doubling (Rabenseifner, "Optimization of collective reduction operations", ICCS
// 2004). Reduce-scatter by recursive halving: in round i, ranks 2^i apart exchange halves of what
// they hold and each reduces its own half. Then all-gather by recursive doubling, the same
// exchanges backwards. Near ranks exchange the most.
//
// 2 log2(n) messages per rank and 2 (n - 1)/n S bytes: a ring's bytes in logarithmic latency. Other
// n than powers of two fold, for two more rounds of S bytes.
#include "collectives/builders.h"
#include "collectives/fold.h"

namespace tutti::collectives {

plan::Program halving_doubling_all_reduce(plan::Rank rank, const plan::Shape& shape) {
  const Fold fold(shape.ranks);
  const std::uint32_t chunks = chunk_of(fold.core);
  plan::Program p{.chunks = chunks,
                  .largest_message = fold.extra > 0 || chunks == 1 ? chunks : chunks / 2,
                  .steps = {}};
  fold.enter(p, rank);
  if (fold.sits_out(rank)) return p;
  const plan::Rank self = fold.position(rank);

  std::uint32_t begin = 0;  // this rank holds [begin, begin + count)
  std::uint32_t count = chunks;
  for (plan::Rank bit = 1; bit < fold.core; bit *= 2) {
    const plan::Rank peer = fold.rank_at(self ^ bit);
    count /= 2;
    const bool upper = (self & bit) != 0;
    p.send(peer, upper ? begin : begin + count, count);
    if (upper) begin += count;
    p.recv_reduce(peer, begin, count, reduce_flags(peer < rank, count == 1));
  }
  for (plan::Rank bit = fold.core / 2; bit >= 1; bit /= 2) {
    const plan::Rank peer = fold.rank_at(self ^ bit);
    const bool upper = (self & bit) != 0;
    p.send(peer, begin, count);
    p.recv(peer, upper ? begin - count : begin + count, count);
    if (upper) begin -= count;
    count *= 2;
  }
  fold.leave(p, rank);
  return p;
}

plan::CostTerms halving_doubling_all_reduce_cost(const plan::Shape& shape) {
  const Fold fold(shape.ranks);
  if (shape.ranks == 1) return {};
  const double rounds = ceil_log2(fold.core);
  const double share = (fold.core - 1.0) / fold.core;
  const double folds = fold.extra > 0 ? 1 : 0;
  return {.rounds = 2 * rounds + 2 * folds,
          .path_bytes = 2 * share + 2 * folds,
          .path_reduce = share + folds,
          .port_messages = 2 * rounds + folds,
          .port_bytes = 2 * share + folds,
          .port_reduce = share + folds,
          .message_fraction = folds > 0 ? 1 : 0.5};
}

}  // namespace tutti::collectives
