// What the programs of the comparison measure: one call of one collective on float32, with sum, and
// root 0. Plain values; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tutti::compare {

enum class Kind : std::uint8_t {
  all_reduce,
  broadcast,
  reduce,
  all_gather,
  reduce_scatter,
  alltoall,
  alltoallv,
  gather,
  scatter,
  sendrecv,
  hypercube,
  barrier,
};

// "all_reduce"; and the inverse.
std::string_view name(Kind kind);
std::optional<Kind> parse_kind(std::string_view text);

constexpr int kRoot = 0;

// One call on one rank. Out of place the buffers are two; in place input and output are where
// tutti/communicator.h says. A pointer that a rank does not need points to valid memory all the
// same.
struct Call {
  Kind kind;
  const float* send;
  float* recv;
  std::int64_t count;  // elements of one block
  bool in_place;
};

// How a rank's buffers are made up of blocks of Call::count elements.
struct Layout {
  int send_blocks = 1;  // of the input, 0 on a rank without one
  int recv_blocks = 1;  // of the output, 0 on a rank without one
  int send_place = 0;   // in place: the first block of the input in the only buffer
  int recv_place = 0;   // in place: that of the output
};
Layout layout(Kind kind, int rank, int ranks);

// Into how many blocks a message is divided: its bytes are theirs together.
int blocks_of_message(Kind kind, int ranks);

// Elements of the block that `from` sends to `to`: fewer than `count` in alltoallv, whose blocks
// are uneven as those of mixtures of experts.
std::int64_t block_count(Kind kind, std::int64_t count, int from, int to);

// Has the collective a form in place?
bool has_in_place(Kind kind);

}  // namespace tutti::compare
