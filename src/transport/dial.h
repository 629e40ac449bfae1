// Dialling: from the addresses that a peer offers to one connection that reaches that very process.
//
// Addresses are tried in order; the next one starts when the one before fails or after kStaggerMs
// ("happy eyeballs", RFC 8305), while those already started go on. An address that connects is not
// used before its answer proves who is there. Functions without state; thread-safe.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "base/interfaces.h"
#include "transport/card.h"
#include "transport/handshake.h"
#include "tutti/status.h"

namespace tutti::transport {

inline constexpr int kStaggerMs = 250;

// How often a wait asks its `stop`.
inline constexpr int kStopIntervalMs = 50;

// Which of a peer's addresses to dial, best first, and why the others are not dialled.
struct DialPlan {
  std::vector<SocketAddress> addresses;
  std::vector<std::string> dropped;  // "127.0.0.1:4000: loopback, but the ranks ..."
};

// Addresses in a subnet of this host go first, otherwise the peer's order stands. Dropped are
// loopback addresses, unless all ranks share the host, and addresses that this host has too, unless
// the peer is on this host. A link-local IPv6 address is tried through each own interface that has
// one.
DialPlan plan_dial(const std::vector<Interface>& own, const Card& mine, const Card& peer,
                   bool all_share_host);

// A place to dial: `start` begins connecting without waiting.
struct DialTarget {
  std::string where;
  std::function<Result<Fd>()> start;
};

// The first connection whose taker proves to be hello.taker. When there is none, an error whose
// message lists every target with its reason; timed_out when the deadline ended it, else
// unavailable.
Result<Fd> dial(std::span<const DialTarget> targets, const Hello& hello, Deadline deadline,
                const std::function<Status()>& stop);

}  // namespace tutti::transport
