// Calls that are run later: those of a group, or one asynchronous call. A value that borrows the
// caller's buffers but owns the lists of blocks, which need not outlive the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "runtime/operation.h"
#include "runtime/point_to_point.h"

namespace tutti::runtime {

class Batch {
 public:
  Batch() = default;
  Batch(Batch&&) = default;
  Batch& operator=(Batch&&) = default;

  // A prepared operation.
  void add(Operation operation);
  void add(const Transfer& transfer) { transfers_.push_back(transfer); }

  std::vector<Operation>& operations() { return operations_; }
  std::vector<Transfer>& transfers() { return transfers_; }
  bool empty() const { return operations_.empty() && transfers_.empty(); }

 private:
  std::vector<Operation> operations_;
  std::vector<Transfer> transfers_;
  std::deque<std::vector<std::int64_t>> lists_;
};

// Small all-reduces that follow each other travel as one message: how many of `operations`, from
// the first on, do so (at least 1). Every rank gives the same answer.
std::size_t coalesced(std::span<const Operation> operations);

}  // namespace tutti::runtime
