// Reduce-scatter and all-gather for any number of ranks (Bernaschi, Iannello and Lauria, "Efficient
// implementation of reduce-scatter in MPI", Journal of Systems Architecture 2003; Bruck, Ho,
// Kipnis, Upfal and Weathersby, IEEE TPDS 1997). Bruck's all-gather backwards leaves every rank
// with one chunk complete, and Bruck's all-gather hands the chunks round.
//
// 2 ceil(log2(n)) messages per rank and 2 (n - 1)/n S bytes: what halving and doubling does for
// powers of two, without folding.
#include "collectives/builders.h"

namespace tutti::collectives {

plan::Program reduce_scatter_all_gather_all_reduce(plan::Rank rank, const plan::Shape& shape) {
  plan::Program p = bruck_reduce_scatter(rank, shape);
  const plan::Program gather = bruck_all_gather(rank, shape);
  p.steps.insert(p.steps.end(), gather.steps.begin(), gather.steps.end());
  return p;
}

plan::CostTerms reduce_scatter_all_gather_all_reduce_cost(const plan::Shape& shape) {
  // Both halves have the same rounds, bytes and largest message.
  plan::CostTerms terms = bruck_reduce_scatter_cost(shape);
  terms.rounds *= 2;
  terms.path_bytes *= 2;
  terms.port_messages *= 2;
  terms.port_bytes *= 2;
  return terms;
}

}  // namespace tutti::collectives
