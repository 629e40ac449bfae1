// What two ends of a link tell each other over their TCP stream, apart from the handshake.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tutti::transport::rdma {

inline constexpr std::size_t kStreamLanes = 8;  // as many as a link has at most

struct LaneCounts {
  std::uint64_t received = 0;  // of a close: sent
  std::uint64_t released = 0;

  bool operator==(const LaneCounts&) const = default;
};

struct StreamMessage {
  enum Kind : std::uint8_t {
    // A queue pair of ours stands still for good in this generation; with what every lane received.
    stopped = 1,
    // At the end of connecting: the queue pairs that work for us, a bit each.
    verdict = 2,
    // A queue pair of ours is up in this generation: a probe will be heard.
    ready = 3,
    // Our end of the link is gone; with what every lane sent.
    close = 4,
    // We gave the link up, and answer no more.
    broken = 5,
  };
  Kind kind = stopped;
  std::uint8_t pair = 0;
  std::uint8_t generation = 0;
  std::uint8_t working = 0;
  std::array<LaneCounts, kStreamLanes> lanes{};

  bool operator==(const StreamMessage&) const = default;
};

inline constexpr std::size_t kStreamMessageBytes = 4 + kStreamLanes * 16;
using StreamMessageBytes = std::array<std::byte, kStreamMessageBytes>;

StreamMessageBytes encode(const StreamMessage& message);
// Empty for bytes that this library never writes.
std::optional<StreamMessage> decode_stream_message(std::span<const std::byte> bytes);

}  // namespace tutti::transport::rdma
