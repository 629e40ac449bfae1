// PAT: see pat.h. Messages over far distances are small, and none is larger than about S/sqrt(n).
//
// About log2(n) / 2 + 2 sqrt(n) messages per rank, for any n, and (n - 1)/n S bytes: between
// Bruck's few rounds of large messages and the ring's many of small ones.
#include "collectives/builders.h"
#include "collectives/pat.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {

plan::Program pat_all_gather(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n), .largest_message = chunk_of(pat_largest(n)), .steps = {}};
  p.steps.reserve(2 * static_cast<std::size_t>(n));
  for (const PatMessage& message : pat_messages(n)) {
    const plan::Rank to = wrap(rank + message.distance, n);
    const plan::Rank from = wrap(rank - message.distance, n);
    const plan::Rank blocks = message.blocks(n);
    for (plan::Rank i = 0; i < blocks; ++i) {
      if (i > 0) p.more();
      p.send(to, chunk_of(wrap(rank - message.behind(i), n)));
    }
    for (plan::Rank i = 0; i < blocks; ++i) {
      if (i > 0) p.more();
      p.recv(from, chunk_of(wrap(from - message.behind(i), n)));
    }
  }
  return p;
}

plan::CostTerms pat_all_gather_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const auto messages = static_cast<double>(pat_messages(shape.ranks).size());
  const double share = (n - 1) / n;
  return {.rounds = messages,
          .path_bytes = share,
          .port_messages = messages,
          .port_bytes = share,
          .message_fraction = pat_largest(shape.ranks) / n};
}

}  // namespace tutti::collectives
