// The hot side of a communicator: how a call runs.

#include <algorithm>

#include "base/error.h"
#include "base/try.h"
#include "runtime/communicator_impl.h"

namespace tutti {

using runtime::Call;
using runtime::Operation;
using runtime::Transfer;

Status Communicator::Impl::run(Operation&& operation) {
  Status checked = last_checked.prepare(operation, rank, size);
  if (group != nullptr) return record_call(operation, std::move(checked));
  if (!checked.ok()) return checked;
  queue->drain();
  operation.sequence = ++sequence;
  return execute(operation);
}

Work Communicator::Impl::start(Operation operation) {
  Status checked = runtime::prepare(operation, rank, size);
  if (group != nullptr) {
    Work done(group->done);
    checked = record_call(operation, std::move(checked));
    return checked.ok() ? done : finished_work(std::move(checked));
  }
  if (!checked.ok()) return finished_work(std::move(checked));
  operation.sequence = ++sequence;
  if (!operation.uneven) return queue->push([this, operation] { return execute(operation); });
  // Jobs are copyable; the lists of blocks that the operation points to are not to be copied.
  auto batch = std::make_shared<runtime::Batch>();
  batch->add(operation);
  return queue->push([this, batch] { return execute(batch->operations().front()); });
}

Status Communicator::Impl::check(std::span<const Transfer> transfers) const {
  for (const Transfer& transfer : transfers) {
    TUTTI_TRY(runtime::check(transfer, rank, size, transfers.size() > 1));
  }
  return has_own(transfers) ? runtime::check_own(transfers, rank) : Status();
}

Status Communicator::Impl::run(std::span<const Transfer> transfers) {
  if (group != nullptr) return record_calls(transfers);
  const bool plain = std::all_of(transfers.begin(), transfers.end(), [this](const Transfer& one) {
    return runtime::is_plain(one, rank, size);
  });
  if (!plain) TUTTI_TRY(check(transfers));
  // Behind asynchronous ones, which may wait for what this call does.
  if (!queue->idle()) return start(transfers).wait();
  if (!plain) return execute(transfers, sequence);
  TUTTI_TRY(failure());
  return run_with_others(transfers, sequence);
}

Work Communicator::Impl::start(std::span<const Transfer> transfers) {
  if (group != nullptr) {
    Work done(group->done);
    Status recorded = record_calls(transfers);
    return recorded.ok() ? done : finished_work(std::move(recorded));
  }
  if (Status checked = check(transfers); !checked.ok()) return finished_work(std::move(checked));
  return push(transfers);
}

// A rank's transfers with itself do not wait for anybody, and need no company.
Work Communicator::Impl::push(std::span<const Transfer> transfers) {
  std::vector<Transfer> all(transfers.begin(), transfers.end());
  if (size > 1 && !has_own(transfers)) return queue->push(std::move(all));
  return queue->push([this, last = sequence, all = std::move(all)] { return execute(all, last); });
}

bool Communicator::Impl::has_own(std::span<const Transfer> transfers) const {
  return std::any_of(transfers.begin(), transfers.end(),
                     [this](const Transfer& one) { return one.peer == rank; });
}

Status Communicator::Impl::failure() const {
  if (control != nullptr) return control->attention() ? control->failure() : Status();
  if (!aborted_alone.load(std::memory_order_acquire)) return {};
  return rank_error(Code::aborted, rank, "rank {} (host {}) aborted the communicator", rank,
                    cards[static_cast<std::size_t>(rank)].host);
}

Status Communicator::Impl::execute(const Operation& operation) {
  TUTTI_TRY(failure());
  if (size == 1) return execute_alone(operation);
  last_run = operation.sequence;
  Call call = runtime::call_of(operation);
  call.history = history = runtime::chained(history, call);
  control->entered(call);
  // Nothing is said about nothing. An uneven all-to-all may be empty here and not elsewhere.
  const bool empty = operation.count == 0 && !has_pair_counts(call);
  if (!empty) {
    if (Status status = dispatch(operation, call); !status.ok()) {
      return control->report(std::move(status));
    }
  }
  control->finished(operation.sequence);
  return {};
}

Status Communicator::Impl::execute(std::span<const Transfer> transfers,
                                   std::uint64_t last_collective) {
  TUTTI_TRY(failure());
  if (has_own(transfers)) {
    const std::vector<Transfer> others = runtime::deliver_own(transfers, rank);
    return run_with_others(others, last_collective);
  }
  return run_with_others(transfers, last_collective);
}

Status Communicator::Impl::run_with_others(std::span<const Transfer> transfers,
                                           std::uint64_t last_collective) {
  if (transfers.empty()) return {};
  Status status = point_to_point->run(transfers, last_collective);
  return status.ok() ? Status() : control->report(std::move(status));
}

// On the queue's thread.
Status Communicator::Impl::execute(runtime::TransferSource& source) {
  Status status = failure();
  if (status.ok()) {
    status = point_to_point->run(source, last_run);
  } else {
    (void)source.more();  // they fail too
  }
  return status.ok() ? Status() : control->report(std::move(status));
}

// A rank alone keeps what it has.
Status Communicator::Impl::execute_alone(const Operation& operation) {
  if (operation.recv == nullptr) return {};
  std::span<const std::int64_t> counts = operation.shared_counts();
  if (has_pair_counts(runtime::call_of(operation))) counts = operation.send_blocks.counts;
  const auto elements = static_cast<std::size_t>(counts.empty() ? operation.count : counts[0]);
  if (elements == 0) return {};
  const auto at = [&operation](const void* data, const Blocks& blocks) {
    const std::int64_t offset = blocks.offsets.empty() ? 0 : blocks.offsets[0];
    return static_cast<const std::byte*>(data) + offset * operation.element_bytes();
  };
  const std::byte* const from = at(operation.send, operation.send_blocks);
  auto* const to = const_cast<std::byte*>(at(operation.recv, operation.recv_blocks));
  if (operation.reduction.factor_kind() != Reduction::Factor::none) {
    device::scale(operation.type, to, from, elements, operation.reduction);
  } else if (from != to) {
    device::copy(to, from, elements * size_of(operation.type), device::Store::cached);
  }
  return {};
}

Status Communicator::Impl::dispatch(const Operation& operation, const Call& call) {
  const runtime::Choice& choice = selector->choose(operation);
  if (choice.planned != nullptr) return run_planned(operation, call, *choice.planned);
  return has_pair_counts(call) ? uneven_all_to_all->run(operation, call)
                               : engine->run(operation, call);
}

Status Communicator::Impl::run_planned(const Operation& operation, const Call& call,
                                       const collectives::Algorithm& algorithm) {
  TUTTI_TRY_ASSIGN(const runtime::Binding* bound, binding(algorithm, operation));
  if (!operation.in_place || algorithm.in_place) return executor->run(operation, call, *bound);
  // Such algorithms write blocks before they have sent what lies there.
  const auto bytes = static_cast<std::size_t>(operation.bytes() * size);
  if (packed.size() < bytes) packed.resize(bytes);
  device::copy(packed.data(), operation.send, bytes, device::Store::cached);
  Operation apart = operation;
  apart.send = packed.data();
  apart.in_place = false;
  return executor->run(apart, call, *bound);
}

Result<const runtime::Binding*> Communicator::Impl::binding(const collectives::Algorithm& algorithm,
                                                            const Operation& operation) {
  const plan::Shape shape = runtime::shape_of(operation, size);
  std::unique_ptr<runtime::Binding>& slot = bindings[{&algorithm, shape.root}];
  if (slot == nullptr) {
    TUTTI_TRY_ASSIGN(slot, runtime::bind(algorithm, rank, shape, *links));
  }
  return slot.get();
}

}  // namespace tutti
