// One call of a collective, checked and numbered. A value that borrows the caller's buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/layout.h"
#include "runtime/call.h"
#include "tutti/communicator.h"
#include "tutti/types.h"

namespace tutti::runtime {

struct Operation {
  Collective collective = Collective::all_reduce;
  // Null where this rank has none: the send buffer of others than the root of a scatter, say.
  const void* send = nullptr;
  void* recv = nullptr;
  std::int64_t count = 0;  // of one block, or of all of them together where they are uneven
  DataType type = DataType::float32;
  Reduction reduction = {};
  int root = 0;
  bool uneven = false;  // a _v form: of the buffers that have blocks, these say how many elements
  Blocks send_blocks = {};
  Blocks recv_blocks = {};
  // This rank's input lies in its output: see in_place_twin() for all_to_all.
  bool in_place = false;
  std::uint64_t sequence = 0;  // 1 for the communicator's first operation

  std::int64_t element_bytes() const { return static_cast<std::int64_t>(size_of(type)); }
  // Of one block; of all together where they are uneven.
  std::int64_t bytes() const { return count * element_bytes(); }
  // The counts that all ranks know; empty when they are even, and in all_to_all_v.
  std::span<const std::int64_t> shared_counts() const {
    if (collective == Collective::all_to_all) return {};
    return !send_blocks.counts.empty() ? send_blocks.counts : recv_blocks.counts;
  }
};

// How the call is numbered, compared and described.
Call call_of(const Operation& operation);

// A collective as the caller made it: sets in_place, forgets the buffers that this rank does not
// have, and adds up uneven counts. invalid_argument names the argument and its value when `size`
// ranks cannot do it.
Status prepare(Operation& operation, int rank, int size);

// What the operation asks of a plan.
plan::Shape shape_of(const Operation& operation, int size);

// Bytes of the larger buffer, all blocks together: what algorithms are selected by. Every rank
// gives the same answer.
std::int64_t message_bytes(const Operation& operation, int size);

}  // namespace tutti::runtime
