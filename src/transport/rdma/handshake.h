// What two ends tell each other while they connect, in two rounds over the stream.
//
//   offer     which rails, how many lanes of how many slots
//   endpoint  the queue pairs, and the memory that they may write
//
// Either may be a refusal instead: words, so that both ends fall back for the same reason. Values
// and pure functions, but for exchange().
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "transport/rdma/queue_pair.h"
#include "transport/rdma/rail.h"
#include "transport/transport.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

struct Offer {
  int lanes = 0;
  Caps caps;
  std::vector<RailAddress> rails;
};

struct Endpoint {
  std::uint64_t slots_address = 0;
  std::vector<std::uint32_t> slots_keys;  // by rail of the offer
  struct Pair {
    std::uint32_t number = 0;
    std::uint32_t psn = 0;
  };
  std::vector<Pair> pairs;
};

// Rails that face each other, as indices into the two offers.
struct RailPair {
  std::size_t mine = 0;
  std::size_t theirs = 0;
};

// Rail i to rail i; where one side has fewer, its rails serve several. Both ends compute the same
// pairs, at most kRailsMax. Left out: InfiniBand facing Ethernet.
std::vector<RailPair> pair_rails(const std::vector<RailAddress>& mine,
                                 const std::vector<RailAddress>& theirs);

std::vector<std::byte> encode(const Offer& offer);
Result<Offer> decode_offer(std::span<const std::byte> bytes);
std::vector<std::byte> encode(const Endpoint& endpoint);
Result<Endpoint> decode_endpoint(std::span<const std::byte> bytes);

// Sends ours, or the words of our failure, and gives theirs. Our failure, or theirs told in
// `peer_name`'s name, is the error.
Result<std::vector<std::byte>> exchange(const Fd& stream, Result<std::vector<std::byte>> mine,
                                        const std::string& peer_name, Deadline deadline,
                                        const std::function<Status()>& stop);

}  // namespace tutti::transport::rdma
