#include "compare/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace tutti::compare {
namespace {

constexpr float kPoison = -1;

// Element i of the block that `rank` has for `block`. Small integers, whose sums are exact; another
// element, rank or block has another value nearly always.
float element(int rank, int block, std::int64_t i) {
  const auto mixed = static_cast<std::uint64_t>(i) * 2654435761U +
                     static_cast<std::uint64_t>(rank) * 40503U +
                     static_cast<std::uint64_t>(block) * 97U;
  return static_cast<float>((mixed >> 7U) % 251U);
}

float sum(int ranks, int block, std::int64_t i) {
  float total = 0;
  for (int rank = 0; rank < ranks; ++rank) total += element(rank, block, i);
  return total;
}

// Element i of the output's block on this rank.
float expected(Kind kind, int rank, int ranks, int block, std::int64_t i) {
  switch (kind) {
    case Kind::all_reduce:
    case Kind::reduce:
      return sum(ranks, 0, i);
    case Kind::reduce_scatter:
      return sum(ranks, rank, i);
    case Kind::broadcast:
      return element(kRoot, 0, i);
    case Kind::all_gather:
    case Kind::hypercube:
    case Kind::gather:
      return element(block, 0, i);
    case Kind::alltoall:
    case Kind::alltoallv:
      return element(block, rank, i);
    case Kind::scatter:
      return element(kRoot, rank, i);
    case Kind::sendrecv:
      return element((rank + ranks - 1) % ranks, 0, i);
    case Kind::barrier:
      break;
  }
  return 0;
}

}  // namespace

std::int64_t input_elements(const Call& call, int rank, int ranks) {
  std::int64_t elements = 0;
  const int blocks = layout(call.kind, rank, ranks).send_blocks;
  for (int to = 0; to < blocks; ++to) elements += block_count(call.kind, call.count, rank, to);
  return elements;
}

void fill(const Call& call, int rank, int ranks) {
  const Layout at = layout(call.kind, rank, ranks);
  // In place the input overwrites what is poisoned here.
  std::fill_n(call.recv, call.count * at.recv_blocks, kPoison);
  auto* next = const_cast<float*>(call.send);
  for (int block = 0; block < at.send_blocks; ++block) {
    const std::int64_t count = block_count(call.kind, call.count, rank, block);
    for (std::int64_t i = 0; i < count; ++i) *next++ = element(rank, block, i);
  }
}

Status verify(const Call& call, const float* output, int rank, int ranks) {
  const Layout at = layout(call.kind, rank, ranks);
  for (int block = 0; block < at.recv_blocks; ++block) {
    const std::int64_t count = block_count(call.kind, call.count, block, rank);
    for (std::int64_t i = 0; i < count; ++i) {
      const float found = *output++;
      const float right = expected(call.kind, rank, ranks, block, i);
      if (found == right) continue;
      return Status::error(
          Code::mismatch,
          fmt::format("{} of {} elements on rank {} of {}: element {} of block {} "
                      "is {}, not {}",
                      name(call.kind), call.count, rank, ranks, i, block, found, right),
          rank);
    }
  }
  return {};
}

}  // namespace tutti::compare
