// The public face of a communicator: each call, in the terms of the runtime.

#include "tutti/communicator.h"

#include <array>
#include <cassert>

#include "base/error.h"
#include "base/try.h"
#include "runtime/communicator_impl.h"

namespace tutti {

using runtime::Operation;
using runtime::Transfer;

namespace {

Operation all_reduce_of(const void* send, void* recv, std::int64_t count, DataType type,
                        Reduction op) {
  return {.collective = Collective::all_reduce,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type,
          .reduction = op};
}

Operation reduce_of(const void* send, void* recv, std::int64_t count, DataType type, Reduction op,
                    int root) {
  return {.collective = Collective::reduce,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type,
          .reduction = op,
          .root = root};
}

Operation broadcast_of(const void* send, void* recv, std::int64_t count, DataType type, int root) {
  return {.collective = Collective::broadcast,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type,
          .root = root};
}

Operation all_gather_of(const void* send, void* recv, std::int64_t count, DataType type) {
  return {.collective = Collective::all_gather,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type};
}

Operation all_gather_v_of(const void* send, void* recv, const Blocks& recv_blocks, DataType type) {
  return {.collective = Collective::all_gather,
          .send = send,
          .recv = recv,
          .type = type,
          .uneven = true,
          .recv_blocks = recv_blocks};
}

Operation reduce_scatter_of(const void* send, void* recv, std::int64_t count, DataType type,
                            Reduction op) {
  return {.collective = Collective::reduce_scatter,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type,
          .reduction = op};
}

Operation reduce_scatter_v_of(const void* send, void* recv, const Blocks& send_blocks,
                              DataType type, Reduction op) {
  return {.collective = Collective::reduce_scatter,
          .send = send,
          .recv = recv,
          .type = type,
          .reduction = op,
          .uneven = true,
          .send_blocks = send_blocks};
}

Operation all_to_all_of(const void* send, void* recv, std::int64_t count, DataType type) {
  return {.collective = Collective::all_to_all,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type};
}

Operation all_to_all_v_of(const void* send, const Blocks& send_blocks, void* recv,
                          const Blocks& recv_blocks, DataType type) {
  return {.collective = Collective::all_to_all,
          .send = send,
          .recv = recv,
          .type = type,
          .uneven = true,
          .send_blocks = send_blocks,
          .recv_blocks = recv_blocks};
}

Operation gather_of(const void* send, void* recv, std::int64_t count, DataType type, int root) {
  return {.collective = Collective::gather,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type,
          .root = root};
}

Operation gather_v_of(const void* send, void* recv, const Blocks& recv_blocks, DataType type,
                      int root) {
  return {.collective = Collective::gather,
          .send = send,
          .recv = recv,
          .type = type,
          .root = root,
          .uneven = true,
          .recv_blocks = recv_blocks};
}

Operation scatter_of(const void* send, void* recv, std::int64_t count, DataType type, int root) {
  return {.collective = Collective::scatter,
          .send = send,
          .recv = recv,
          .count = count,
          .type = type,
          .root = root};
}

Operation scatter_v_of(const void* send, void* recv, const Blocks& send_blocks, DataType type,
                       int root) {
  return {.collective = Collective::scatter,
          .send = send,
          .recv = recv,
          .type = type,
          .root = root,
          .uneven = true,
          .send_blocks = send_blocks};
}

// Nobody's token is done before everybody's is there.
Operation barrier_of(std::uint8_t& token) {
  return {.collective = Collective::barrier,
          .send = &token,
          .recv = &token,
          .count = 1,
          .type = DataType::uint8,
          .reduction = ReduceOp::bit_or};
}

Transfer send_of(const void* data, std::int64_t count, DataType type, int peer) {
  return {
      .sends = true, .data = const_cast<void*>(data), .count = count, .type = type, .peer = peer};
}

Transfer recv_of(void* data, std::int64_t count, DataType type, int peer) {
  return {.sends = false, .data = data, .count = count, .type = type, .peer = peer};
}

}  // namespace

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

Result<std::optional<Communicator>> Communicator::split(int color, int key) {
  return impl_->split(color, key);
}

Result<Communicator> Communicator::duplicate() {
  TUTTI_TRY_ASSIGN(std::optional<Communicator> copy, impl_->split(0, 0));
  return *std::move(copy);
}

// ---- Collectives

Status Communicator::all_reduce(const void* send, void* recv, std::int64_t count, DataType type,
                                Reduction op) {
  return impl_->run(all_reduce_of(send, recv, count, type, op));
}

Work Communicator::all_reduce_async(const void* send, void* recv, std::int64_t count, DataType type,
                                    Reduction op) {
  return impl_->start(all_reduce_of(send, recv, count, type, op));
}

Status Communicator::reduce(const void* send, void* recv, std::int64_t count, DataType type,
                            Reduction op, int root) {
  return impl_->run(reduce_of(send, recv, count, type, op, root));
}

Work Communicator::reduce_async(const void* send, void* recv, std::int64_t count, DataType type,
                                Reduction op, int root) {
  return impl_->start(reduce_of(send, recv, count, type, op, root));
}

Status Communicator::broadcast(const void* send, void* recv, std::int64_t count, DataType type,
                               int root) {
  return impl_->run(broadcast_of(send, recv, count, type, root));
}

Work Communicator::broadcast_async(const void* send, void* recv, std::int64_t count, DataType type,
                                   int root) {
  return impl_->start(broadcast_of(send, recv, count, type, root));
}

Status Communicator::all_gather(const void* send, void* recv, std::int64_t count, DataType type) {
  return impl_->run(all_gather_of(send, recv, count, type));
}

Work Communicator::all_gather_async(const void* send, void* recv, std::int64_t count,
                                    DataType type) {
  return impl_->start(all_gather_of(send, recv, count, type));
}

Status Communicator::all_gather_v(const void* send, void* recv, const Blocks& recv_blocks,
                                  DataType type) {
  return impl_->run(all_gather_v_of(send, recv, recv_blocks, type));
}

Work Communicator::all_gather_v_async(const void* send, void* recv, const Blocks& recv_blocks,
                                      DataType type) {
  return impl_->start(all_gather_v_of(send, recv, recv_blocks, type));
}

Status Communicator::reduce_scatter(const void* send, void* recv, std::int64_t count, DataType type,
                                    Reduction op) {
  return impl_->run(reduce_scatter_of(send, recv, count, type, op));
}

Work Communicator::reduce_scatter_async(const void* send, void* recv, std::int64_t count,
                                        DataType type, Reduction op) {
  return impl_->start(reduce_scatter_of(send, recv, count, type, op));
}

Status Communicator::reduce_scatter_v(const void* send, void* recv, const Blocks& send_blocks,
                                      DataType type, Reduction op) {
  return impl_->run(reduce_scatter_v_of(send, recv, send_blocks, type, op));
}

Work Communicator::reduce_scatter_v_async(const void* send, void* recv, const Blocks& send_blocks,
                                          DataType type, Reduction op) {
  return impl_->start(reduce_scatter_v_of(send, recv, send_blocks, type, op));
}

Status Communicator::all_to_all(const void* send, void* recv, std::int64_t count, DataType type) {
  return impl_->run(all_to_all_of(send, recv, count, type));
}

Work Communicator::all_to_all_async(const void* send, void* recv, std::int64_t count,
                                    DataType type) {
  return impl_->start(all_to_all_of(send, recv, count, type));
}

Status Communicator::all_to_all_v(const void* send, const Blocks& send_blocks, void* recv,
                                  const Blocks& recv_blocks, DataType type) {
  return impl_->run(all_to_all_v_of(send, send_blocks, recv, recv_blocks, type));
}

Work Communicator::all_to_all_v_async(const void* send, const Blocks& send_blocks, void* recv,
                                      const Blocks& recv_blocks, DataType type) {
  return impl_->start(all_to_all_v_of(send, send_blocks, recv, recv_blocks, type));
}

Status Communicator::gather(const void* send, void* recv, std::int64_t count, DataType type,
                            int root) {
  return impl_->run(gather_of(send, recv, count, type, root));
}

Work Communicator::gather_async(const void* send, void* recv, std::int64_t count, DataType type,
                                int root) {
  return impl_->start(gather_of(send, recv, count, type, root));
}

Status Communicator::gather_v(const void* send, void* recv, const Blocks& recv_blocks,
                              DataType type, int root) {
  return impl_->run(gather_v_of(send, recv, recv_blocks, type, root));
}

Work Communicator::gather_v_async(const void* send, void* recv, const Blocks& recv_blocks,
                                  DataType type, int root) {
  return impl_->start(gather_v_of(send, recv, recv_blocks, type, root));
}

Status Communicator::scatter(const void* send, void* recv, std::int64_t count, DataType type,
                             int root) {
  return impl_->run(scatter_of(send, recv, count, type, root));
}

Work Communicator::scatter_async(const void* send, void* recv, std::int64_t count, DataType type,
                                 int root) {
  return impl_->start(scatter_of(send, recv, count, type, root));
}

Status Communicator::scatter_v(const void* send, void* recv, const Blocks& send_blocks,
                               DataType type, int root) {
  return impl_->run(scatter_v_of(send, recv, send_blocks, type, root));
}

Work Communicator::scatter_v_async(const void* send, void* recv, const Blocks& send_blocks,
                                   DataType type, int root) {
  return impl_->start(scatter_v_of(send, recv, send_blocks, type, root));
}

Status Communicator::barrier() {
  return impl_->run(barrier_of(impl_->token));
}

Work Communicator::barrier_async() {
  return impl_->start(barrier_of(impl_->token));
}

// ---- Point to point

Status Communicator::send(const void* data, std::int64_t count, DataType type, int peer) {
  const Transfer one = send_of(data, count, type, peer);
  return impl_->run(std::span(&one, 1));
}

Work Communicator::send_async(const void* data, std::int64_t count, DataType type, int peer) {
  const Transfer one = send_of(data, count, type, peer);
  return impl_->start(std::span(&one, 1));
}

Status Communicator::recv(void* data, std::int64_t count, DataType type, int peer) {
  const Transfer one = recv_of(data, count, type, peer);
  return impl_->run(std::span(&one, 1));
}

Work Communicator::recv_async(void* data, std::int64_t count, DataType type, int peer) {
  const Transfer one = recv_of(data, count, type, peer);
  return impl_->start(std::span(&one, 1));
}

Status Communicator::send_recv(const void* send, std::int64_t send_count, int destination,
                               void* recv, std::int64_t recv_count, int source, DataType type) {
  const std::array<Transfer, 2> both = {send_of(send, send_count, type, destination),
                                        recv_of(recv, recv_count, type, source)};
  return impl_->run(both);
}

Work Communicator::send_recv_async(const void* send, std::int64_t send_count, int destination,
                                   void* recv, std::int64_t recv_count, int source, DataType type) {
  const std::array<Transfer, 2> both = {send_of(send, send_count, type, destination),
                                        recv_of(recv, recv_count, type, source)};
  return impl_->start(both);
}

// ---- Groups

Status Communicator::group(const std::function<void()>& calls) {
  return impl_->finish(impl_->record(calls));
}

Work Communicator::group_async(const std::function<void()>& calls) {
  return impl_->finish_async(impl_->record(calls));
}

// ---- Questions

std::string Communicator::algorithm(Collective collective, std::int64_t count,
                                    DataType type) const {
  if (impl_->size == 1) return "copy";
  impl_->queue->drain();  // the selector has one user at a time
  Operation operation;
  operation.collective = collective;
  operation.count = collective == Collective::barrier ? 1 : count;
  operation.type = type;
  return std::string(impl_->selector->choose(operation).name);
}

std::string Communicator::transport(int peer) const {
  assert(peer >= 0 && peer < size());
  if (peer == impl_->rank) return "self";
  return std::string(impl_->links->transport_to(peer)->name());
}

Status Communicator::status() const {
  return impl_->failure();
}

void Communicator::abort() noexcept {
  if (impl_->crew != nullptr) impl_->crew->dismiss();
  if (impl_->control == nullptr) {
    impl_->aborted_alone.store(true, std::memory_order_release);
    return;
  }
  (void)impl_->control->report(rank_error(Code::aborted, impl_->rank,
                                          "rank {} (host {}) aborted the communicator", impl_->rank,
                                          host(impl_->rank)));
}

}  // namespace tutti
