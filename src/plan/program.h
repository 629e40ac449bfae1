// A program: the steps that one rank takes for one tile, in order. A value; no addresses, no bytes.
//
// Chunks have one name on all ranks, whichever buffer of a rank they lie in: see layout.h.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/step.h"
#include "tutti/types.h"

namespace tutti::plan {

using Kind = Collective;

// The arguments of a builder: everything a plan depends on. Message size is not among them.
struct Shape {
  Kind kind = Kind::all_reduce;
  Rank ranks = 1;
  Rank root = 0;  // broadcast, reduce, gather and scatter

  bool operator==(const Shape&) const = default;
};

// Built by chaining: p.send(next, c).recv_reduce(previous, d).
struct Program {
  std::uint32_t chunks = 1;  // in all; see layout.h
  // The most chunks of any rank's messages. Equal on all ranks, as all must cut equal tiles.
  std::uint32_t largest_message = 1;
  // Set by the pass resolve_buffers: how many chunks of scratch memory the program needs.
  std::uint32_t scratch_chunks = 0;
  std::vector<Step> steps;

  Program& send(Rank peer, std::uint32_t chunk, std::uint32_t count = 1);
  Program& recv(Rank peer, std::uint32_t chunk, std::uint32_t count = 1);
  // flags: kIncomingFirst, kFinal
  Program& recv_reduce(Rank peer, std::uint32_t chunk, std::uint32_t count = 1,
                       std::uint8_t flags = 0);
  // The last step and the next one are parts of one message.
  Program& more();

  // A tile is sized so that this many chunks fit a slot.
  std::uint32_t message_chunks() const { return largest_message; }

  bool operator==(const Program&) const = default;
};

// A builder: pure, O(own steps).
using Builder = Program (*)(Rank rank, const Shape& shape);

}  // namespace tutti::plan
