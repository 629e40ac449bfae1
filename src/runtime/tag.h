// The 64 bits that travel with every message, by which the receiver knows that both ranks are doing
// the same thing. Values; pure.
//
//   of a collective:     bit 63 zero, bits 32-62 the call's sequence number, 0-31 its history
//   of a pair of ranks in an uneven all-to-all: the same, with the pair's count in bits 0-31; bit 0
//                        is turned over if the sender wrote it past its cache
//   of point to point:   bit 63 one, bits 56-62 the type, bit 55 whether the sender wrote it past
//                        its cache, 0-54 the count of the whole message
//
// That a sender wrote past its cache is said for who measures what that takes.
#pragma once

#include <cstdint>

#include "runtime/call.h"
#include "tutti/types.h"

namespace tutti::runtime {

inline constexpr std::uint64_t kPointToPoint = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kTagStreamed = std::uint64_t{1} << 55;
inline constexpr std::uint64_t kTagCountMask = kTagStreamed - 1;
inline constexpr std::uint64_t kPairStreamed = 1;

inline std::uint64_t tag_of(const Call& call) {
  return (call.sequence << 32 & ~kPointToPoint) | call.history;
}

// In an uneven all-to-all a pair of ranks must also agree on its count.
constexpr std::uint64_t tag_of_pair(std::uint64_t tag, std::int64_t count) {
  const auto hash = static_cast<std::uint64_t>(count + 1) * 0x9e3779b97f4a7c15;
  return tag ^ hash >> 32;
}

constexpr std::uint64_t point_to_point_tag(DataType type, std::int64_t count) {
  return kPointToPoint | static_cast<std::uint64_t>(type) << 56 |
         (static_cast<std::uint64_t>(count) & kTagCountMask);
}

// Of a point-to-point tag.
constexpr DataType type_of_tag(std::uint64_t tag) {
  return static_cast<DataType>(tag >> 56 & 0x7f);
}
constexpr std::int64_t count_of_tag(std::uint64_t tag) {
  return static_cast<std::int64_t>(tag & kTagCountMask);
}

// Of the same message, written past its sender's cache.
constexpr std::uint64_t streamed(std::uint64_t tag) {
  return tag ^ ((tag & kPointToPoint) != 0 ? kTagStreamed : kPairStreamed);
}

static_assert(count_of_tag(streamed(point_to_point_tag(DataType::int64, 5))) == 5);
static_assert(streamed(tag_of_pair(0x700000000, 5)) != tag_of_pair(0x700000000, 5));
static_assert(type_of_tag(streamed(point_to_point_tag(DataType::int64, 5))) == DataType::int64);

// Of a collective's: the sequence number that is nearest to `near` and has the tag's low 31 bits.
constexpr std::uint64_t sequence_of_tag(std::uint64_t tag, std::uint64_t near) {
  const auto low = static_cast<std::uint32_t>(tag >> 32);
  const auto distance =
      static_cast<std::int32_t>((low - static_cast<std::uint32_t>(near)) << 1) / 2;
  return near + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance));
}

}  // namespace tutti::runtime
