// The schedule of a broadcast over circulant graphs (Traeff, "Optimal broadcast schedules in
// logarithmic time with applications to broadcast, all-broadcast, reduction and all-reduction",
// arXiv:2407.18004, 2024). Pure functions, O(log(n)^2).
//
// With q = ceil(log2(n)), the rounds go through q skips again and again; in the round of a skip
// every node may send one block to the node so much ahead and receive one from the node so much
// behind. B blocks are everywhere after B - 1 + q rounds, which no broadcast can do faster (if a
// node sends and receives one block at a time).
#pragma once

#include <vector>

#include "plan/program.h"

namespace tutti::collectives {

// One node's blocks. Nodes are distances from the root.
struct CirculantSchedule {
  std::vector<plan::Rank> skips;  // 1 = skips[0] < skips[1] < ... < n
  // By skip: the block received, and the block sent, in the first pass over the skips. In the next
  // pass it is the block q after that, and so on. Negative: none yet. Beyond the last block: the
  // last one. Nobody sends to the root, node 0.
  std::vector<int> received;
  std::vector<int> sent;
};

// REQUIRES: 0 <= node < n, n >= 2.
CirculantSchedule circulant_schedule(plan::Rank node, plan::Rank n);

}  // namespace tutti::collectives
