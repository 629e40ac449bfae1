// The 32 bits that travel with every RDMA write of a lane, and tell the receiver all it needs.
//
//   bits 0-3 lane, 4-5 kind, 8-15 messages that the writer's own receiving side has released (mod
//   256: the credits of the other direction), 16-31 number of the message (mod 65536)
//
// Counts rather than increments, so that a repeated one does no harm.
#pragma once

#include <cstdint>

namespace tutti::transport::rdma {

struct Immediate {
  enum Kind : std::uint8_t {
    message,  // the slot of this number was written
    credit,   // nothing was written
    probe,    // the first write of a queue pair: the way works
  };
  Kind kind = message;
  std::uint8_t lane = 0;
  std::uint8_t released = 0;
  std::uint16_t number = 0;

  bool operator==(const Immediate&) const = default;
};

constexpr std::uint32_t encode(const Immediate& immediate) {
  return static_cast<std::uint32_t>(immediate.number) << 16 |
         static_cast<std::uint32_t>(immediate.released) << 8 |
         static_cast<std::uint32_t>(immediate.kind) << 4 | immediate.lane;
}

constexpr Immediate decode_immediate(std::uint32_t bits) {
  return {.kind = static_cast<Immediate::Kind>(bits >> 4 & 3),
          .lane = static_cast<std::uint8_t>(bits & 15),
          .released = static_cast<std::uint8_t>(bits >> 8),
          .number = static_cast<std::uint16_t>(bits >> 16)};
}

}  // namespace tutti::transport::rdma
