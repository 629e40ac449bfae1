// Reduce-scatter and gather (Rabenseifner, "Optimization of collective reduction operations", ICCS
// 2004). Each rank reduces one of n chunks, as in Bruck's reduce-scatter; then the chunks go up a
// binomial tree to the root.
//
// 2 ceil(log2(n)) rounds and 2 (n - 1)/n S bytes on the longest path, for any n: for long messages
// that are not long enough to be pipelined.
#include "collectives/builders.h"

namespace tutti::collectives {

plan::Program reduce_scatter_gather_reduce(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p = bruck_reduce_scatter(rank, shape);
  const plan::Program gather = binomial_gather(rank, shape);
  p.steps.insert(p.steps.end(), gather.steps.begin(), gather.steps.end());
  return p;
}

plan::CostTerms reduce_scatter_gather_reduce_cost(const plan::Shape& shape) {
  // Both halves have the same rounds, bytes and largest message.
  plan::CostTerms terms = bruck_reduce_scatter_cost(shape);
  terms.rounds *= 2;
  terms.path_bytes *= 2;
  terms.port_messages *= 2;
  terms.port_bytes *= 2;
  return terms;
}

}  // namespace tutti::collectives
