#include "runtime/batch.h"

namespace tutti::runtime {
namespace {

// A copy in and out costs less than another exchange of flags up to about this size.
constexpr std::int64_t kCoalescedBytesEach = 4 * 1024;
constexpr std::int64_t kCoalescedBytes = 32 * 1024;

bool may_join(const Operation& operation) {
  return operation.collective == Collective::all_reduce &&
         operation.reduction.factor_kind() == Reduction::Factor::none &&
         operation.bytes() <= kCoalescedBytesEach;
}

}  // namespace

void Batch::add(Operation operation) {
  for (Blocks* blocks : {&operation.send_blocks, &operation.recv_blocks}) {
    for (std::span<const std::int64_t>* list : {&blocks->counts, &blocks->offsets}) {
      if (!list->empty()) *list = lists_.emplace_back(list->begin(), list->end());
    }
  }
  operations_.push_back(operation);
}

std::size_t coalesced(std::span<const Operation> operations) {
  const Operation& first = operations.front();
  if (!may_join(first)) return 1;
  std::size_t joined = 1;
  for (std::int64_t bytes = first.bytes(); joined < operations.size(); ++joined) {
    const Operation& next = operations[joined];
    bytes += next.bytes();
    const bool alike = next.type == first.type && next.reduction.op() == first.reduction.op();
    if (!may_join(next) || !alike || bytes > kCoalescedBytes) break;
  }
  return joined;
}

}  // namespace tutti::runtime
