// How messages lie in the byte stream of one lane: a header of 24 bytes, the payload, and padding
// to 8 bytes, so that every payload is read at an address that fits any element type.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tutti::transport {

enum class FrameKind : std::uint32_t {
  message = 0x4d525454,  // "TTRM"
  close = 0x43525454,    // "TTRC": the sender's link was destroyed; nothing follows
};

struct FrameHeader {
  FrameKind kind;
  std::uint32_t payload_bytes;
  std::uint64_t sequence;  // 0, 1, ... : a lost or repeated frame is a bug that must not go unseen
  std::uint64_t tag;
};
static_assert(sizeof(FrameHeader) == 24);

inline constexpr std::size_t kFrameAlignment = 8;  // of the largest element type

// Of header, payload and padding.
constexpr std::size_t frame_bytes(std::size_t payload_bytes) {
  return sizeof(FrameHeader) +
         (payload_bytes + kFrameAlignment - 1) / kFrameAlignment * kFrameAlignment;
}

}  // namespace tutti::transport
