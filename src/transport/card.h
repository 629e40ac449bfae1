// A rank's card: what the others must know to connect to it. All-gathered once when a communicator
// is created. A value with a bounds-checked wire form.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/socket.h"
#include "tutti/status.h"

namespace tutti::transport {

struct Card {
  int rank = 0;
  std::int64_t pid = 0;
  std::string host;                      // for messages only, never to decide anything
  std::array<std::byte, 16> boot_id{};   // of the kernel: same id, same host
  std::array<std::byte, 16> process{};   // random per communicator end: guards against a wrong peer
  std::string unix_name;                 // abstract Unix socket of the switchboard
  std::vector<SocketAddress> addresses;  // TCP addresses of the switchboard, best first
  int cpus = 1;                          // CPUs that this rank may run on
  int rdma_rails = 0;                    // RDMA ports that the rank opened; told after the cards

  bool operator==(const Card&) const = default;
};

inline constexpr std::size_t kCardBytes = 1024;  // fixed wire size, padded
// Addresses that do not fit are dropped from the end.
std::array<std::byte, kCardBytes> encode(const Card& card);
Result<Card> decode(std::span<const std::byte> bytes);

// boot_id, host, pid, cpus of this process; `process` drawn from the kernel's random source.
Result<Card> local_card(int rank);

}  // namespace tutti::transport
