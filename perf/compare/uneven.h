// The counts and places of the blocks of an alltoallv on one rank, in a library's own integers.
// A value.
#pragma once

#include <vector>

#include "compare/call.h"

namespace tutti::compare {

template <typename Integer>
struct UnevenBlocks {
  UnevenBlocks(const Call& call, int rank, int ranks) {
    for (int peer = 0; peer < ranks; ++peer) {
      sent.push_back(static_cast<Integer>(block_count(call.kind, call.count, rank, peer)));
      received.push_back(static_cast<Integer>(block_count(call.kind, call.count, peer, rank)));
      offsets.push_back(static_cast<Integer>(call.count * peer));
    }
  }
  std::vector<Integer> sent;      // to each rank
  std::vector<Integer> received;  // from each rank
  std::vector<Integer> offsets;   // of the blocks, in both buffers
};

}  // namespace tutti::compare
