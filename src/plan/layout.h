// What the chunks of a collective are, and which of them a rank's input and output hold. Pure.
//
//   all_reduce, reduce, broadcast   the tile, partitioned into as many chunks as the builder likes
//   barrier                         one chunk, a token
//   all_gather, reduce_scatter,     n chunks: chunk r is the block of rank r, what it contributes
//   gather, scatter                 or what it receives
//   all_to_all                      n * n chunks: chunk i * n + j is the block from rank i to rank
//   j
//
// A chunk that a rank has in neither buffer when it is received, or that is the partial sum of
// another rank's result, lies in scratch memory meanwhile; the pass resolve_buffers sees to that.
#pragma once

#include <cstdint>

#include "plan/program.h"

namespace tutti::plan {

// Does the kind combine values?
constexpr bool reduces(Kind kind) {
  return kind == Kind::all_reduce || kind == Kind::reduce || kind == Kind::reduce_scatter ||
         kind == Kind::barrier;
}

constexpr bool has_root(Kind kind) {
  return kind == Kind::broadcast || kind == Kind::reduce || kind == Kind::gather ||
         kind == Kind::scatter;
}

// Do chunks stand for blocks of single ranks, rather than for parts of one message?
constexpr bool has_blocks(Kind kind) {
  return kind == Kind::all_gather || kind == Kind::reduce_scatter || kind == Kind::all_to_all ||
         kind == Kind::gather || kind == Kind::scatter;
}

// The chunks of a kind with blocks. 65,535 ranks are the most whose pairs a chunk can name.
constexpr std::uint32_t block_count(const Shape& shape) {
  const auto n = static_cast<std::uint32_t>(shape.ranks);
  return shape.kind == Kind::all_to_all ? n * n : n;
}

// Which chunks of `program_chunks` a buffer of `rank` holds: first, first + stride, ... (`count` of
// them), in this order.
struct Held {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t stride = 1;

  constexpr bool contains(std::uint32_t chunk) const {
    return count > 0 && chunk >= first && (chunk - first) % stride == 0 &&
           (chunk - first) / stride < count;
  }
  // The place of a chunk in the buffer. REQUIRES: contains(chunk).
  constexpr std::uint32_t place(std::uint32_t chunk) const { return (chunk - first) / stride; }
};

Held held_in_input(const Shape& shape, Rank rank, std::uint32_t program_chunks);
Held held_in_output(const Shape& shape, Rank rank, std::uint32_t program_chunks);

// In place, the chunk of the output that lies where the input has `chunk`.
constexpr std::uint32_t in_place_twin(const Shape& shape, std::uint32_t chunk) {
  if (shape.kind != Kind::all_to_all) return chunk;
  const auto n = static_cast<std::uint32_t>(shape.ranks);
  return chunk % n * n + chunk / n;
}

// Chunks in one rank's larger buffer: what a share of the message is a fraction of.
constexpr std::uint32_t chunks_per_buffer(const Shape& shape, std::uint32_t program_chunks) {
  return shape.kind == Kind::all_to_all ? static_cast<std::uint32_t>(shape.ranks) : program_chunks;
}

}  // namespace tutti::plan
