// PAT: see pat.h. The all-gather backwards: every tree is gone up, from its leaves to the root
// whose block is reduced. Messages over far distances are small, none is larger than about
// S/sqrt(n), and partial sums of about sqrt(n) log2(n) / 2 blocks at most are kept for others.
//
// About log2(n) / 2 + 2 sqrt(n) messages per rank, for any n, and (n - 1)/n S bytes: between
// halving's few rounds of large messages and the ring's many of small ones.
#include <vector>

#include "collectives/builders.h"
#include "collectives/pat.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program pat_reduce_scatter(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n), .largest_message = chunk_of(pat_largest(n)), .steps = {}};
  p.steps.reserve(2 * static_cast<std::size_t>(n));
  const std::vector<PatMessage> messages = pat_messages(n);
  for (std::size_t left = messages.size(); left > 0; --left) {
    const PatMessage& message = messages[left - 1];
    const plan::Rank to = wrap(rank - message.distance, n);
    const plan::Rank from = wrap(rank + message.distance, n);
    const plan::Rank blocks = message.blocks(n);
    for (plan::Rank i = 0; i < blocks; ++i) {
      if (i > 0) p.more();
      p.send(to, chunk_of(wrap(to - message.behind(i), n)));
    }
    for (plan::Rank i = 0; i < blocks; ++i) {
      if (i > 0) p.more();
      // The farthest distance comes last and brings the rest of the rank's own block.
      p.recv_reduce(from, chunk_of(wrap(rank - message.behind(i), n)), 1,
                    reduce_flags(false, left == 1));
    }
  }
  return p;
}

plan::CostTerms pat_reduce_scatter_cost(const plan::Shape& shape) {
  plan::CostTerms terms = pat_all_gather_cost(shape);
  terms.path_reduce = terms.path_bytes;
  terms.port_reduce = terms.port_bytes;
  return terms;
}

}  // namespace tutti::collectives
