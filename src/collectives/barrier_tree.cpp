// Tree: word that all have come goes up a binomial tree to rank 0, and word that all may leave
// comes down it again (the combining tree of Yew, Tzeng and Lawrie, IEEE TC 1987, with messages).
//
// 2 (n - 1) messages in all, the fewest, in 2 ceil(log2(n)) rounds.
#include "collectives/builders.h"

namespace tutti::collectives {

plan::Program tree_barrier(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p = binomial_reduce(rank, shape);
  const plan::Program down = binomial_broadcast(rank, shape);
  p.steps.insert(p.steps.end(), down.steps.begin(), down.steps.end());
  return p;
}

plan::CostTerms tree_barrier_cost(const plan::Shape& shape) {
  // Rank 0 receives and sends as many messages.
  plan::CostTerms terms = binomial_reduce_cost(shape);
  terms.rounds *= 2;
  terms.path_bytes *= 2;
  return terms;
}

}  // namespace tutti::collectives
