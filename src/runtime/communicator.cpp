// The hot side of a communicator: calls.

#include "tutti/communicator.h"

#include <cassert>
#include <cstring>

#include "base/error.h"
#include "base/try.h"
#include "runtime/communicator_impl.h"

namespace tutti {

using runtime::Operation;

Status Communicator::Impl::run(Operation operation) {
  TUTTI_TRY(runtime::check(operation, rank, size));
  queue->drain();
  operation.sequence = ++sequence;
  return execute(operation);
}

Work Communicator::Impl::start(Operation operation) {
  if (Status status = runtime::check(operation, rank, size); !status.ok()) {
    auto state = std::make_shared<Work::State>();
    state->finish(std::move(status));
    return Work(std::move(state));
  }
  operation.sequence = ++sequence;
  return queue->push(operation);
}

Status Communicator::Impl::execute(const Operation& operation) {
  if (size == 1 || operation.count == 0) {
    if (control != nullptr && control->attention()) TUTTI_TRY(control->failure());
    if (!operation.in_place() && operation.count > 0) {
      device::copy(operation.recv, operation.send, static_cast<std::size_t>(operation.bytes()),
                   device::Store::cached);
    }
    return {};
  }
  if (control->attention()) TUTTI_TRY(control->failure());
  control->entered(operation.sequence);
  if (Status status = dispatch(operation); !status.ok()) return control->report(std::move(status));
  control->finished(operation.sequence);
  return {};
}

Status Communicator::Impl::dispatch(const Operation& operation) {
  const runtime::Choice& choice = selector->choose(operation);
  if (choice.planned == nullptr) {
    return operation.collective == Collective::all_reduce ? engine->all_reduce(operation)
                                                          : engine->broadcast(operation);
  }
  TUTTI_TRY_ASSIGN(const runtime::Binding* bound, binding(*choice.planned, operation));
  return executor->run(operation, *bound);
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

Communicator::Communicator(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

Result<Communicator> Communicator::create(Bootstrap& bootstrap, const Config& config) {
  TUTTI_TRY_ASSIGN(std::unique_ptr<Impl> impl, Impl::create(bootstrap, config));
  return Communicator(std::move(impl));
}

Result<Communicator> Communicator::create() {
  TUTTI_TRY_ASSIGN(const Config config, Config::from_env());
  TUTTI_TRY_ASSIGN(const std::unique_ptr<Bootstrap> bootstrap, bootstrap_from_env(config));
  return create(*bootstrap, config);
}

int Communicator::rank() const noexcept {
  return impl_->rank;
}
int Communicator::size() const noexcept {
  return impl_->size;
}
int Communicator::local_rank() const noexcept {
  return impl_->local_rank;
}
int Communicator::local_size() const noexcept {
  return impl_->local_size;
}

const std::string& Communicator::host(int rank) const {
  assert(rank >= 0 && rank < size());
  return impl_->cards[static_cast<std::size_t>(rank)].host;
}

namespace {

Operation all_reduce_of(const void* send, void* recv, std::int64_t count, DataType type,
                        ReduceOp op) {
  return {.collective = Collective::all_reduce,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type,
          .op = op};
}

// Only the root's send counts; elsewhere the call is in place.
Operation broadcast_of(const void* send, void* recv, std::int64_t count, DataType type, int root,
                       int rank) {
  return {.collective = Collective::broadcast,
          .send = rank == root ? send : recv,
          .recv = recv,
          .count = count,
          .type = type,
          .root = root};
}

}  // namespace

Status Communicator::all_reduce(const void* send, void* recv, std::int64_t count, DataType type,
                                ReduceOp op) {
  return impl_->run(all_reduce_of(send, recv, count, type, op));
}

Work Communicator::all_reduce_async(const void* send, void* recv, std::int64_t count, DataType type,
                                    ReduceOp op) {
  return impl_->start(all_reduce_of(send, recv, count, type, op));
}

Status Communicator::broadcast(const void* send, void* recv, std::int64_t count, DataType type,
                               int root) {
  return impl_->run(broadcast_of(send, recv, count, type, root, impl_->rank));
}

Work Communicator::broadcast_async(const void* send, void* recv, std::int64_t count, DataType type,
                                   int root) {
  return impl_->start(broadcast_of(send, recv, count, type, root, impl_->rank));
}

Status Communicator::barrier() {
  // Nobody's result is ready before everybody's contribution is there.
  std::uint8_t token = 0;
  Operation operation = all_reduce_of(&token, &token, 1, DataType::uint8, ReduceOp::max);
  operation.barrier = true;
  return impl_->run(operation);
}

std::string Communicator::algorithm(Collective collective, std::int64_t count,
                                    DataType type) const {
  if (impl_->size == 1) return "copy";
  impl_->queue->drain();  // the selector has one user at a time
  Operation operation;
  operation.collective = collective;
  operation.count = count;
  operation.type = type;
  return std::string(impl_->selector->choose(operation).name);
}

std::string Communicator::transport(int peer) const {
  assert(peer >= 0 && peer < size());
  if (peer == impl_->rank) return "self";
  return std::string(impl_->links->transport_to(peer)->name());
}

Status Communicator::status() const {
  return impl_->control == nullptr ? Status() : impl_->control->failure();
}

void Communicator::abort() noexcept {
  if (impl_->control == nullptr) return;
  (void)impl_->control->report(rank_error(Code::aborted, impl_->rank,
                                          "rank {} (host {}) aborted the communicator", impl_->rank,
                                          host(impl_->rank)));
}

}  // namespace tutti
