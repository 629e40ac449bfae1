// Groups: calls that are recorded, and then run as one operation.

#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "runtime/communicator_impl.h"

namespace tutti {

using runtime::Operation;
using runtime::Transfer;

std::shared_ptr<Communicator::Impl::Group> Communicator::Impl::record(
    const std::function<void()>& calls) {
  if (group != nullptr) {
    calls();
    return nullptr;
  }
  struct Recording {
    explicit Recording(std::shared_ptr<Group>& slot) : current(slot) {
      current = std::make_shared<Group>();
    }
    ~Recording() { current = nullptr; }  // also when `calls` throws: then nothing is run
    std::shared_ptr<Group>& current;
  };
  const Recording recording(group);
  std::shared_ptr<Group> recorded = group;
  calls();
  return recorded;
}

Status Communicator::Impl::record_call(const Operation& operation, Status checked) {
  if (!checked.ok()) {
    if (group->failure.ok()) group->failure = checked;
    return checked;
  }
  group->batch.add(operation);
  return {};
}

Status Communicator::Impl::record_calls(std::span<const Transfer> transfers) {
  for (const Transfer& transfer : transfers) {
    Status checked = runtime::check(transfer, rank, size, true);
    if (!checked.ok()) {
      if (group->failure.ok()) group->failure = checked;
      return checked;
    }
  }
  for (const Transfer& transfer : transfers) group->batch.add(transfer);
  return {};
}

Status Communicator::Impl::close(Group& recorded) {
  TUTTI_TRY(std::move(recorded.failure));
  TUTTI_TRY(runtime::check_own(recorded.batch.transfers(), rank));
  for (Operation& operation : recorded.batch.operations()) operation.sequence = ++sequence;
  return {};
}

Status Communicator::Impl::finish(const std::shared_ptr<Group>& recorded) {
  if (recorded == nullptr) return {};
  if (!queue->idle()) return finish_async(recorded).wait();
  const std::uint64_t before = sequence;
  Status outcome = close(*recorded);
  if (outcome.ok()) outcome = execute(recorded->batch.transfers(), before);
  if (outcome.ok()) outcome = execute(recorded->batch.operations());
  recorded->done->finish(outcome);
  return outcome;
}

// The transfers join others that are under way, and the collectives follow.
Work Communicator::Impl::finish_async(const std::shared_ptr<Group>& recorded) {
  if (recorded == nullptr) return {};
  if (Status closed = close(*recorded); !closed.ok()) {
    recorded->done->finish(closed);
    return finished_work(std::move(closed));
  }
  Work transfers;
  if (!recorded->batch.transfers().empty()) transfers = push(recorded->batch.transfers());
  return queue->push([this, recorded, transfers] {
    Status outcome = transfers.wait();
    if (outcome.ok()) outcome = execute(recorded->batch.operations());
    recorded->done->finish(outcome);
    return outcome;
  });
}

Status Communicator::Impl::execute(std::span<const Operation> rest) {
  while (!rest.empty()) {
    const std::size_t joined = size > 1 ? runtime::coalesced(rest) : 1;
    TUTTI_TRY(joined == 1 ? execute(rest.front()) : execute_coalesced(rest.first(joined)));
    rest = rest.subspan(joined);
  }
  return {};
}

// One all-reduce of all their elements, under the first one's number.
Status Communicator::Impl::execute_coalesced(std::span<const Operation> operations) {
  Operation joined = operations.front();
  joined.count = 0;
  for (const Operation& one : operations) joined.count += one.count;
  const auto bytes = static_cast<std::size_t>(joined.bytes());
  if (packed.size() < bytes) packed.resize(bytes);
  std::byte* at = packed.data();
  for (const Operation& one : operations) {
    if (one.count > 0) std::memcpy(at, one.send, static_cast<std::size_t>(one.bytes()));
    at += one.bytes();
  }
  joined.send = packed.data();
  joined.recv = packed.data();
  joined.in_place = true;
  TUTTI_TRY(execute(joined));
  control->finished(operations.back().sequence);
  at = packed.data();
  for (const Operation& one : operations) {
    if (one.count > 0) std::memcpy(one.recv, at, static_cast<std::size_t>(one.bytes()));
    at += one.bytes();
  }
  return {};
}

}  // namespace tutti
