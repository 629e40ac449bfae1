// Bruck (Bruck, Ho, Kipnis, Upfal and Weathersby, "Efficient algorithms for all-to-all
// communications in multiport message-passing systems", IEEE TPDS 1997, section 3). A block whose
// receiver is `ahead` ranks ahead of its sender goes 2^i ranks ahead in round i if `ahead` has that
// bit: with all other such blocks, in one message.
//
// ceil(log2(n)) messages per rank of up to S/2 bytes: the fewest rounds, for small blocks; each
// block is sent again for every bit. Global names of blocks spare the rotations of the original.
#include <algorithm>

#include "collectives/builders.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

// The distances below n that have the bit.
plan::Rank count_with(plan::Rank bit, plan::Rank n) {
  return n / (2 * bit) * bit + std::max(0, n % (2 * bit) - bit);
}

plan::Rank largest_message(plan::Rank n) {
  plan::Rank largest = 1;
  for (plan::Rank bit = 1; bit < n; bit *= 2) largest = std::max(largest, count_with(bit, n));
  return largest;
}

// Calls add(chunk) for each block of the round's message that `from` sends.
template <typename Add>
void add_message(plan::Program& p, plan::Rank from, plan::Rank bit, plan::Rank n, Add add) {
  for (plan::Rank ahead = bit; ahead < n; ++ahead) {
    if ((ahead & bit) == 0) continue;
    if (ahead != bit) p.more();
    // It has come as far as the lower bits say.
    const plan::Rank source = wrap(from - ahead % bit, n);
    add(block_between(source, wrap(source + ahead, n), n));
  }
}

}  // namespace

plan::Program bruck_all_to_all(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  plan::Program p{.chunks = chunk_of(n) * chunk_of(n),
                  .largest_message = chunk_of(largest_message(n)),
                  .steps = {}};
  p.steps.reserve(static_cast<std::size_t>(n) * static_cast<std::size_t>(ceil_log2(n)));
  for (plan::Rank bit = 1; bit < n; bit *= 2) {
    const plan::Rank to = wrap(rank + bit, n);
    const plan::Rank from = wrap(rank - bit, n);
    add_message(p, rank, bit, n, [&](std::uint32_t chunk) { p.send(to, chunk); });
    add_message(p, from, bit, n, [&](std::uint32_t chunk) { p.recv(from, chunk); });
  }
  return p;
}

plan::CostTerms bruck_all_to_all_cost(const plan::Shape& shape) {
  const double n = shape.ranks;
  const double rounds = ceil_log2(shape.ranks);
  double share = 0;
  for (plan::Rank bit = 1; bit < shape.ranks; bit *= 2) share += count_with(bit, shape.ranks) / n;
  return {.rounds = rounds,
          .path_bytes = share,
          .port_messages = rounds,
          .port_bytes = share,
          .message_fraction = largest_message(shape.ranks) / n};
}

}  // namespace tutti::collectives
