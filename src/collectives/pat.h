// The messages of PAT, parallel aggregated trees (Jeaugey, "PAT: a new algorithm for all-gather and
// reduce-scatter operations at scale", arXiv:2506.20252, 2025; in NCCL since 2.23). Pure functions.
//
// Every rank is the root of a binomial tree of all ranks, in which the block of rank r goes from
// the rank `behind` ranks after r to the one `distance` after that. All trees have the same shape,
// so a rank sends the blocks of several trees over the same distance in one message. The farthest
// go first, with one block; the nearest carry the most. A message has at most as many blocks as the
// square root of n, about: what would be a larger one is several, each of which is forwarded as far
// as it goes before the next one is sent, so that few blocks are under way.
#pragma once

#include <vector>

#include "plan/program.h"

namespace tutti::collectives {

// Sent by every rank to the one `distance` after it: the blocks of the ranks `first`,
// `first + stride`, `first + 2 * stride`, ... before itself, as long as these plus the distance are
// less than n.
struct PatMessage {
  plan::Rank distance;
  plan::Rank first;
  plan::Rank stride;

  plan::Rank behind(plan::Rank block) const { return first + block * stride; }
  plan::Rank blocks(plan::Rank n) const { return (n - distance - first - 1) / stride + 1; }
};

// In the all-gather's order: a block is sent on after the message that brings it. About
// log2(n) / 2 + 2 sqrt(n) messages of n - 1 blocks in all.
std::vector<PatMessage> pat_messages(plan::Rank n);

// The most blocks of any message.
plan::Rank pat_largest(plan::Rank n);

}  // namespace tutti::collectives
