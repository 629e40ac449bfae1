// What a rank called: enough to tell whether two calls match, and to say so. A value.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/types.h"

namespace tutti::runtime {

// All ranks' collective calls of one sequence number must be equal in every field.
struct Call {
  std::uint64_t sequence = 0;  // 1 for the communicator's first collective
  Collective collective = Collective::all_reduce;
  DataType type = DataType::float32;
  ReduceOp op = ReduceOp::sum;  // of a reduction; else sum
  bool premultiplied = false;   // a sum with factors
  bool uneven = false;          // a _v form
  std::int32_t root = 0;        // where there is one; else 0
  std::int64_t count = 0;       // elements of one block; of an uneven call, of all blocks together
  // Hash of an uneven call's counts; 0 in all_to_all_v, where each rank has others.
  std::uint64_t counts_hash = 0;
  // Fingerprint of this call and of all before it: see chained(). Ranks whose calls differed once
  // never agree again, even where the call itself left nothing to notice (two roots that both
  // send, say).
  std::uint32_t history = 0;

  bool operator==(const Call&) const = default;
};

// Does every pair of ranks have counts of its own?
constexpr bool has_pair_counts(const Call& call) {
  return call.uneven && call.collective == Collective::all_to_all;
}

// Equal but for what came before.
bool same_call(const Call& a, const Call& b);

// "all_reduce(float32, 1024, sum)", "broadcast(int8, 16, root 2)", "all_gather_v(int32, 10 in all)"
std::string describe(const Call& call);

// Equal for equal calls, and hardly ever otherwise. Never 0.
std::uint32_t fingerprint(const Call& call);

// The history of a call that follows one of history `before` (0: none). Never 0.
std::uint32_t chained(std::uint32_t before, const Call& call);

}  // namespace tutti::runtime
