// Circulant graph (Traeff, arXiv:2407.18004, 2024; see circulant.h). The tile is cut into
// 2 log2(n) + 1 blocks, which follow one another over skips of about n/2, n/4, ..., 1 ranks, a new
// one each round; every rank forwards some and nobody is sent a block twice.
//
// 3 ceil(log2(n)) rounds, for any n, in each of which the root sends 1 / (2 log2(n) + 1) of S:
// about 1.5 S bytes on the longest path, for messages that are too long for a tree of whole tiles
// and too short to be pipelined by tiles.
#include <algorithm>

#include "collectives/builders.h"
#include "collectives/circulant.h"
#include "collectives/rank_math.h"

namespace tutti::collectives {
namespace {

// More passes over the skips would mean smaller blocks: fewer bytes on the path, but more rounds.
constexpr int kPasses = 3;

int block_count(plan::Rank n) {
  return (kPasses - 1) * ceil_log2(n) + 1;
}

}  // namespace

plan::Program circulant_broadcast(plan::Rank rank, const plan::Shape& shape) {
  const plan::Rank n = shape.ranks;
  const int blocks = block_count(n);
  plan::Program p{.chunks = chunk_of(blocks), .largest_message = 1, .steps = {}};
  if (n == 1) return p;
  const plan::Rank self = distance_from_root(rank, shape);
  const CirculantSchedule schedule = circulant_schedule(self, n);
  const auto skips = static_cast<int>(schedule.skips.size());
  for (int pass = 0; pass < kPasses; ++pass) {
    for (std::size_t k = 0; k < schedule.skips.size(); ++k) {
      const plan::Rank to = wrap(self + schedule.skips[k], n);
      const plan::Rank from = wrap(self - schedule.skips[k], n);
      const int sent = std::min(schedule.sent[k] + pass * skips, blocks - 1);
      const int received = std::min(schedule.received[k] + pass * skips, blocks - 1);
      if (to != 0 && sent >= 0) p.send(rank_at_distance(to, shape), chunk_of(sent));
      if (self != 0 && received >= 0) p.recv(rank_at_distance(from, shape), chunk_of(received));
    }
  }
  return p;
}

plan::CostTerms circulant_broadcast_cost(const plan::Shape& shape) {
  if (shape.ranks == 1) return {};
  const double rounds = kPasses * ceil_log2(shape.ranks);
  const double blocks = block_count(shape.ranks);
  return {.rounds = rounds,
          .path_bytes = rounds / blocks,
          .port_messages = rounds,
          .port_bytes = rounds / blocks,
          .message_fraction = 1 / blocks};
}

}  // namespace tutti::collectives
