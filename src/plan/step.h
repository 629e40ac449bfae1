// One step of a plan: 16 bytes, four to a cache line. A value.
#pragma once

#include <cstdint>

namespace tutti::plan {

using Rank = std::int32_t;

enum class Op : std::uint8_t {
  send,         // chunks -> port to peer
  recv,         // port from peer -> chunks
  recv_reduce,  // chunks = chunks (op) incoming, or incoming (op) chunks with Flag::incoming_first
  copy,         // chunks of the input -> where the output has them (nothing to do in place)
};

enum Flag : std::uint8_t {
  // The operand order of recv_reduce: the incoming value stands on the left.
  kIncomingFirst = 1,
  // This recv_reduce completes the reduction of its chunks; average divides here, so that it rounds
  // once.
  kFinal = 2,
  // Set by the pass resolve_buffers: the local operand is still in the input buffer.
  kFromInput = 4,
  // Set by the pass fuse: the next step sends the same chunks; do both in one go over the data when
  // the port has room, one after the other when it has none.
  kFuseNext = 8,
  // Set by the pass fuse, with kFuseNext on a recv_reduce: nothing reads the chunks here after the
  // next step's send and before they are overwritten, so they need not be stored.
  kTransient = 16,
  // The next step goes on with the same message: a send (or a receive) to the same peer.
  kMore = 32,
  // Set by the pass resolve_buffers: what this step stores, or, without kFromInput, what it reads,
  // is at `scratch` in the rank's scratch memory, because its output has no room for it.
  kInScratch = 64,
};

struct Step {
  Op op = Op::send;
  std::uint8_t flags = 0;
  std::uint16_t scratch = 0;  // with kInScratch: the position of the first chunk, in chunks
  Rank peer = -1;
  std::uint32_t chunk = 0;  // first chunk
  std::uint32_t count = 1;  // number of consecutive chunks, one message or a part of one

  bool operator==(const Step&) const = default;
};
static_assert(sizeof(Step) == 16);

}  // namespace tutti::plan
