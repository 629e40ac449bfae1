// The blocks of an alltoallv on one rank, which follow each other, in a library's own integers. A
// value.
#pragma once

#include <cstddef>
#include <vector>

#include "compare/call.h"

namespace tutti::compare {

template <typename Integer>
struct UnevenBlocks {
  UnevenBlocks(const Call& call, int rank, int ranks) {
    for (int peer = 0; peer < ranks; ++peer) {
      sent.push_back(static_cast<Integer>(block_count(call.kind, call.count, rank, peer)));
      received.push_back(static_cast<Integer>(block_count(call.kind, call.count, peer, rank)));
      sent_offsets.push_back(peer == 0 ? 0 : sent_offsets.back() + sent[before(peer)]);
      received_offsets.push_back(peer == 0 ? 0 : received_offsets.back() + received[before(peer)]);
    }
  }
  std::vector<Integer> sent;      // to each rank
  std::vector<Integer> received;  // from each rank
  std::vector<Integer> sent_offsets;
  std::vector<Integer> received_offsets;

 private:
  static std::size_t before(int peer) { return static_cast<std::size_t>(peer - 1); }
};

}  // namespace tutti::compare
