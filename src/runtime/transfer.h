// One send or receive, as the caller made it; and what a rank sends to itself. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tutti/status.h"
#include "tutti/types.h"

namespace tutti::runtime {

// Borrows the caller's buffer.
struct Transfer {
  bool sends = false;
  void* data = nullptr;  // only read by a send
  std::int64_t count = 0;
  DataType type = DataType::float32;
  int peer = 0;

  std::size_t bytes() const { return static_cast<std::size_t>(count) * size_of(type); }
};

// What check() finds nothing wrong with, and is not with the rank itself. Inline: of a short
// message its time is a good part.
inline bool is_plain(const Transfer& transfer, int rank, int size) {
  constexpr std::int64_t kMost = std::int64_t{1} << 56;
  return static_cast<int>(transfer.type) < kDataTypeCount && transfer.count >= 0 &&
         transfer.count < kMost && transfer.peer >= 0 && transfer.peer < size &&
         transfer.peer != rank && (transfer.data != nullptr || transfer.count == 0);
}

// "send(float32, 1024) to rank 3"
std::string describe(const Transfer& transfer);

// invalid_argument names the argument and its value. A rank may be its own peer in a group only.
Status check(const Transfer& transfer, int rank, int size, bool in_group);

// What a rank sends to itself: its k-th send is its k-th receive. invalid_argument when they do not
// match.
Status check_own(std::span<const Transfer> transfers, int rank);

// Copies it, and returns the transfers with others. REQUIRES: check_own().
std::vector<Transfer> deliver_own(std::span<const Transfer> transfers, int rank);

}  // namespace tutti::runtime
