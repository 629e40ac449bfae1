#include "compare/call.h"

#include <array>
#include <cstddef>

namespace tutti::compare {
namespace {

constexpr std::array<std::string_view, 12> kNames = {
    "all_reduce", "broadcast", "reduce",  "all_gather", "reduce_scatter", "alltoall",
    "alltoallv",  "gather",    "scatter", "sendrecv",   "hypercube",      "barrier"};

}  // namespace

std::string_view name(Kind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<Kind> parse_kind(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

Layout layout(Kind kind, int rank, int ranks) {
  const bool is_root = rank == kRoot;
  switch (kind) {
    case Kind::all_reduce:
    case Kind::sendrecv:
      return {};
    case Kind::broadcast:
      return {.send_blocks = is_root ? 1 : 0};
    case Kind::reduce:
      return {.recv_blocks = is_root ? 1 : 0};
    case Kind::all_gather:
    case Kind::hypercube:
      return {.recv_blocks = ranks, .send_place = rank};
    case Kind::reduce_scatter:
      return {.send_blocks = ranks, .recv_place = rank};
    case Kind::alltoall:
    case Kind::alltoallv:
      return {.send_blocks = ranks, .recv_blocks = ranks};
    case Kind::gather:
      return {.recv_blocks = is_root ? ranks : 0, .send_place = rank};
    case Kind::scatter:
      return {.send_blocks = is_root ? ranks : 0, .recv_place = rank};
    case Kind::barrier:
      return {.send_blocks = 0, .recv_blocks = 0};
  }
  return {};
}

int blocks_of_message(Kind kind, int ranks) {
  switch (kind) {
    case Kind::all_reduce:
    case Kind::broadcast:
    case Kind::reduce:
    case Kind::sendrecv:
    case Kind::barrier:
      return 1;
    case Kind::all_gather:
    case Kind::reduce_scatter:
    case Kind::alltoall:
    case Kind::alltoallv:
    case Kind::gather:
    case Kind::scatter:
    case Kind::hypercube:
      break;
  }
  return ranks;
}

std::int64_t block_count(Kind kind, std::int64_t count, int from, int to) {
  return kind == Kind::alltoallv ? count * ((from + 2 * to) % 4) / 4 : count;
}

bool has_in_place(Kind kind) {
  return kind != Kind::sendrecv && kind != Kind::alltoallv && kind != Kind::barrier;
}

}  // namespace tutti::compare
