// Spares what is called over and over the checks that it passed: a third of the instructions of a
// short collective. (Two ranks, scatter of 8 bytes: 0.19 us and 0.14.)
//
// Lifetime: a communicator's. One thread at a time. No allocation once lists were as long.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/try.h"
#include "runtime/operation.h"
#include "tutti/status.h"

namespace tutti::runtime {

class LastChecked {
 public:
  // As runtime::prepare().
  Status prepare(Operation& operation, int rank, int size) {
    const Asked asked(operation);
    if (is_known_ && asked == asked_ && (!operation.uneven || has_same_lists(operation))) {
      operation.send = send_;
      operation.recv = recv_;
      operation.count = count_;
      operation.in_place = in_place_;
      return {};
    }
    is_known_ = false;
    TUTTI_TRY(runtime::prepare(operation, rank, size));
    if (operation.uneven) keep_lists(operation);
    asked_ = asked;
    send_ = operation.send;
    recv_ = operation.recv;
    count_ = operation.count;
    in_place_ = operation.in_place;
    is_known_ = true;  // last: there may be no memory for lists
    return {};
  }

 private:
  static std::array<std::span<const std::int64_t>, 4> lists_of(const Operation& operation) {
    return {operation.send_blocks.counts, operation.send_blocks.offsets,
            operation.recv_blocks.counts, operation.recv_blocks.offsets};
  }
  // They are the caller's, and may have changed since.
  bool has_same_lists(const Operation& operation) const {
    auto at = lists_.begin();
    for (const auto list : lists_of(operation)) {
      if (!std::equal(list.begin(), list.end(), at)) return false;
      at += static_cast<std::ptrdiff_t>(list.size());
    }
    return true;
  }
  void keep_lists(const Operation& operation) {
    lists_.clear();
    for (const auto list : lists_of(operation)) {
      lists_.insert(lists_.end(), list.begin(), list.end());
    }
  }

  // All that is checked, but what is in lists.
  struct Asked {
    Asked() = default;
    explicit Asked(const Operation& operation)
        : send(operation.send),
          recv(operation.recv),
          count(operation.count),
          root(operation.root),
          collective(operation.collective),
          type(operation.type),
          op(operation.reduction.op()),
          factor(operation.reduction.factor_kind()),
          uneven(operation.uneven) {
      const auto lists = lists_of(operation);
      for (std::size_t i = 0; i < lists.size(); ++i) list_sizes[i] = lists[i].size();
    }
    bool operator==(const Asked&) const = default;

    const void* send = nullptr;
    const void* recv = nullptr;
    std::int64_t count = 0;
    int root = 0;
    Collective collective = Collective::barrier;
    DataType type = DataType::float32;
    ReduceOp op = ReduceOp::sum;
    Reduction::Factor factor = Reduction::Factor::none;
    bool uneven = false;
    std::array<std::size_t, 4> list_sizes{};
  };

  bool is_known_ = false;
  Asked asked_;
  std::vector<std::int64_t> lists_;  // one behind the other
  // What prepare() made of it.
  const void* send_ = nullptr;
  void* recv_ = nullptr;
  std::int64_t count_ = 0;
  bool in_place_ = false;
};

}  // namespace tutti::runtime
