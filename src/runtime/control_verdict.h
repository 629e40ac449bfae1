// The words and the judgement of the control path: who is at fault, doing what, and what to do now.
//
// Pure functions of what is known; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/control.h"
#include "runtime/control_message.h"
#include "transport/card.h"
#include "tutti/status.h"

namespace tutti::runtime::control {

using Cards = std::vector<transport::Card>;

// The connection from `dead` to `witness` ended without a bye. `reason`: "was closed", or "broke:
// ..."; `progress` tells what the witness was doing.
Status died(int dead, int witness, std::string_view reason, const Heartbeat& progress,
            const Cards& cards);

// `peer` sent to `witness` what cannot be read; `reason` says what it was.
Status garbled(int peer, int witness, std::string_view reason, const Cards& cards);

// An operation whose deadline passed on rank `origin`, and what the tree said when asked about it.
struct Inquiry {
  int origin = 0;
  std::uint64_t sequence = 0;
  std::string operation = {};
  int waiting_for = -1;
  std::int64_t timeout_ms = 0;
  std::int64_t silence_ms = 0;  // a rank not heard of for longer has stopped or is cut off
  std::vector<Answer> answers = {};
  std::vector<Control::Departure> departures = {};
  std::vector<Call> calls = {};  // the origin's last ones up to `sequence`
};

// Two ranks' calls of one number that are not equal: the lowest rank whose call differs from that
// of rank 0 (or, before rank 0 has made one, of the lowest rank that has), and that rank. Every
// origin that got all answers says the same. When no answer tells of a difference, names the origin
// and the rank that it met.
Status differ(const Inquiry& inquiry, const Cards& cards);

// Calls that differ come first: see differ(). Else blames, in this order: a rank that has left
// before the operation; one silent for long; one that is outside any operation and has not entered
// this one; one that did not echo the query; one held up in an earlier operation (more likely a
// victim than the cause); the rank that was waited for. Of several the one that is farthest behind,
// then the one waited for, then the lowest.
Status verdict(const Inquiry& inquiry, const Cards& cards);

}  // namespace tutti::runtime::control
