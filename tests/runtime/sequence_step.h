// Random sequences of calls that all ranks agree on, and what each of them must give. Values; pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "plan/layout.h"
#include "support/values.h"
#include "tutti/types.h"

namespace tutti::test {

// Values that are moved, or reduced over several keys, at a place of a buffer.
struct Part {
  std::int64_t at = 0;
  std::int64_t count = 0;
  std::vector<std::uint64_t> keys;
};

// What all ranks know of a call.
struct Step {
  enum Kind : std::uint8_t { collective, ring, pair, group, kinds };
  Kind kind = collective;
  Collective call = Collective::barrier;
  DataType type = DataType::uint32;
  ReduceOp op = ReduceOp::sum;
  bool scaled = false;
  bool uneven = false;
  bool symmetric = false;  // an uneven all-to-all whose blocks can be swapped in place
  int root = 0;
  int other = 0;  // the receiver of a pair
  std::int64_t count = 0;
  std::uint64_t key = 0;

  std::uint64_t key_of(int from, int to) const {
    return mix(key, static_cast<std::uint64_t>(from * 64 + to));
  }
  // Of block `to`, or of what `from` sends to `to`.
  std::int64_t block_count(int from, int to) const;
};

// The buffers of one rank in a step.
struct Layout {
  std::vector<Part> in;      // blocks of the send buffer, if this rank has one
  std::vector<Part> out;     // and of the recv buffer
  std::vector<Part> blocks;  // of the buffer that has one block of each rank
  std::int64_t in_base = 0;  // in place, where the buffers begin in the common one
  std::int64_t out_base = 0;
  bool can_be_in_place = true;
};

Layout lay_out(const Step& step, int rank, int ranks);

// The same for each rank that draws with the same generator. Buffers have `buffer_bytes`.
Step draw_step(std::mt19937_64& random, int ranks, std::int64_t buffer_bytes);

inline std::int64_t below(std::mt19937_64& random, std::int64_t n) {
  return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
}

inline constexpr std::uint64_t kFactor = 3;

template <typename T>
T value(std::uint64_t key, std::int64_t i) {
  return static_cast<T>(((static_cast<std::uint64_t>(i) ^ key) * 0x9e3779b97f4a7c15u) >> 24);
}

template <typename T>
void write(T* to, const Part& part, ReduceOp op, bool scaled) {
  T* const out = to + part.at;
  for (std::int64_t i = 0; i < part.count; ++i) out[i] = value<T>(part.keys[0], i);
  for (std::size_t k = 1; k < part.keys.size(); ++k) {
    const std::uint64_t key = part.keys[k];
    for (std::int64_t i = 0; i < part.count; ++i) {
      const T next = value<T>(key, i);
      out[i] = op == ReduceOp::sum   ? static_cast<T>(out[i] + next)
               : op == ReduceOp::max ? std::max(out[i], next)
                                     : static_cast<T>(out[i] ^ next);
    }
  }
  if (!scaled || part.keys.size() < 2) return;
  for (std::int64_t i = 0; i < part.count; ++i) out[i] = static_cast<T>(out[i] * kFactor);
}

}  // namespace tutti::test
