// The three messages that open every connection between two switchboards.
//
//   dialler -> taker   hello    who I mean, who I am, what for
//   taker -> dialler   answer   proves that the process meant was reached
//   dialler -> taker   confirm  of several connections that were answered, this is the one
//
// All three have a fixed size and are read exactly, because what follows the confirm belongs to the
// connection's user. They guard against accidents (wrong host, NAT, port scanners), not against an
// attacker who reads the network: that is trusted. Values and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "transport/switchboard.h"

namespace tutti::transport {

using ProcessId = std::array<std::byte, 16>;  // Card::process

// Distinguishes the connections of a pair of ranks. `unix_socket` since both kinds may be under
// way.
struct ConnectionKey {
  int peer = 0;
  Purpose purpose = Purpose::control;
  int index = 0;
  bool unix_socket = false;

  bool operator==(const ConnectionKey&) const = default;
};

struct Hello {
  ProcessId taker{};
  ProcessId dialler{};
  int rank = 0;  // the dialler's
  Purpose purpose = Purpose::control;
  int index = 0;
};

inline constexpr std::size_t kHelloBytes = 48;
inline constexpr std::size_t kAnswerBytes = 24;
inline constexpr std::size_t kConfirmBytes = 4;
using HelloBytes = std::array<std::byte, kHelloBytes>;
using AnswerBytes = std::array<std::byte, kAnswerBytes>;
using ConfirmBytes = std::array<std::byte, kConfirmBytes>;

HelloBytes encode(const Hello& hello);
// Empty when the bytes are no hello of this version.
std::optional<Hello> decode_hello(std::span<const std::byte> bytes);

AnswerBytes answer_of(const ProcessId& taker);
ConfirmBytes confirm();

}  // namespace tutti::transport
