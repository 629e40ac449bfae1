// What the control path says, and its wire form.
//
// A frame is {u16 bytes of body, u8 version, u8 kind, body}. Reading is bounds-checked and refuses
// whatever this version would not have written: ranks out of range, unknown kinds, left-over bytes.
// Messages are values. A FrameReader belongs to one connection and is not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/call.h"
#include "tutti/status.h"

namespace tutti::runtime::control {

inline constexpr std::uint8_t kVersion = 2;
inline constexpr std::size_t kCallsAsked = 16;   // of a query
inline constexpr std::size_t kTextBytes = 4096;  // longer text of a failure is cut

// Sent once a second. Tells how far its sender is, so that its neighbours can still tell when it
// has fallen silent, and whether it makes the same calls.
struct Heartbeat {
  std::uint64_t entered = 0;
  std::uint64_t finished = 0;
  Call call = {};  // the last one; number 0: none yet
  bool operator==(const Heartbeat&) const = default;
};

// The one kind of news, and the last thing that is said on a connection. Flooded.
struct Failure {
  int rank = -1;  // at fault; -1 when unknown
  Code code = Code::internal;
  int origin = 0;  // the rank that first said so
  std::string text;
  bool operator==(const Failure&) const = default;
};

// `rank` closes in good order. Flooded.
struct Bye {
  int rank = 0;
  std::uint64_t finished = 0;
  bool operator==(const Bye&) const = default;
};

// "Who has not entered operation `sequence`, or called something else then or shortly before?"
// Flooded; echoed at every hop.
struct Query {
  int origin = 0;
  std::uint32_t id = 0;
  std::uint64_t sequence = 0;
  std::vector<Call> calls = {};  // the origin's last ones up to that, oldest first
  bool operator==(const Query&) const = default;
};

// "I have read your query": to the neighbour that it came from.
struct Echo {
  int origin = 0;
  std::uint32_t id = 0;
  bool operator==(const Echo&) const = default;
};

// How far `rank` is, by itself, or by a neighbour to which it has said nothing for silent_ms.
// Routed to the origin of the query.
struct Answer {
  int origin = 0;
  std::uint32_t id = 0;
  int rank = 0;
  std::uint64_t entered = 0;
  std::uint64_t finished = 0;
  std::int64_t silent_ms = -1;  // -1: the rank speaks for itself
  // The first call that differs from the origin's of the same number; number 0: none.
  Call call = {};
  bool operator==(const Answer&) const = default;
};

using Message = std::variant<Heartbeat, Failure, Bye, Query, Echo, Answer>;

std::vector<std::byte> encode(const Message& message);

// Cuts a stream of bytes into messages.
class FrameReader {
 public:
  // `size` is the number of ranks: rank fields must lie below it.
  explicit FrameReader(int size) : size_(size) {}

  void append(std::span<const std::byte> bytes);
  // The next message; nothing while it is incomplete; an error when the bytes cannot be one, after
  // which the reader must not be used again.
  Result<std::optional<Message>> next();

 private:
  int size_;
  std::vector<std::byte> bytes_;
  std::size_t read_ = 0;  // bytes_ before this offset are done with
};

}  // namespace tutti::runtime::control
