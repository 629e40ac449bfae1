// The blocks of an alltoallv on one rank, which follow each other, in a library's own integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "compare/call.h"

namespace tutti::compare {

// A value.
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

// Those of the last call: programs make their lists once, so that is no part of what a call costs.
template <typename Integer>
class LastUnevenBlocks {
 public:
  const UnevenBlocks<Integer>& of(const Call& call, int rank, int ranks) {
    if (!blocks_ || kind_ != call.kind || count_ != call.count) blocks_.emplace(call, rank, ranks);
    kind_ = call.kind;
    count_ = call.count;
    return *blocks_;
  }

 private:
  Kind kind_ = Kind::alltoallv;
  std::int64_t count_ = 0;
  std::optional<UnevenBlocks<Integer>> blocks_;
};

}  // namespace tutti::compare
