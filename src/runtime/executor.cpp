#include "runtime/executor.h"

#include <algorithm>

#include "base/error.h"
#include "base/try.h"

namespace tutti::runtime {

using plan::Op;
using plan::Range;
using plan::Step;

namespace {

constexpr std::int64_t kAlignmentBytes = 64;

// Below this a tile is not worth cutting for the sake of more lanes.
constexpr std::int64_t kTileBytesMin = 32 * 1024;

// Tiles of an operation: few enough that every message fits a slot, and, for large messages, enough
// to keep all lanes busy.
std::int64_t tile_count(const Operation& operation, const Binding& binding, int lanes,
                        std::int64_t alignment, std::int64_t element_bytes) {
  const auto message_chunks = static_cast<std::int64_t>(binding.program.message_chunks());
  const auto chunks = static_cast<std::int64_t>(binding.program.chunks);
  const auto slot_elements = static_cast<std::int64_t>(binding.slot_bytes) / element_bytes;
  const std::int64_t chunk_elements = slot_elements / message_chunks / alignment * alignment;
  const std::int64_t tile_elements = chunk_elements * chunks;
  const std::int64_t needed = (operation.count + tile_elements - 1) / tile_elements;
  const std::int64_t wanted = std::min<std::int64_t>(2 * lanes, operation.bytes() / kTileBytesMin);
  return std::max({needed, wanted, std::int64_t{1}});
}

}  // namespace

Status Executor::run(const Operation& operation, const Binding& binding) {
  begin(operation, binding);
  borrow_buffers();
  Status status = waiter_.run(
      operation, [this] { return poll_fds(); }, [this] { return pass(); },
      [this] { return blocked_on(); });
  return_buffers();
  return status.ok() ? std::move(error_) : std::move(status);
}

// Once per operation, and only when some message is long enough to gain from it.
void Executor::borrow_buffers() {
  if (binding_->lender == nullptr || active_ == 0) return;
  const std::int64_t largest =
      operation_->bytes() / tiles_ / binding_->program.chunks * binding_->program.largest_message;
  if (largest < static_cast<std::int64_t>(binding_->borrow_bytes)) return;
  const auto bytes = static_cast<std::size_t>(operation_->bytes());
  lent_recv_ = binding_->lender->acquire(operation_->recv, bytes);
  if (!operation_->in_place()) lent_send_ = binding_->lender->acquire(operation_->send, bytes);
}

void Executor::return_buffers() {
  for (const transport::Registration** lent : {&lent_send_, &lent_recv_}) {
    if (*lent != nullptr) binding_->lender->release(*lent);
    *lent = nullptr;
  }
}

const transport::Registration* Executor::lent(std::size_t index, std::size_t bytes) const {
  const Borrow& borrow = binding_->borrows[index];
  if (borrow.bytes == 0 || bytes < borrow.bytes) return nullptr;
  if (operation_->in_place()) return borrow.in_place ? lent_recv_ : nullptr;
  const bool from_input = (binding_->program.steps[index].flags & plan::kFromInput) != 0;
  return from_input ? lent_send_ : (borrow.in_place ? lent_recv_ : nullptr);
}

void Executor::begin(const Operation& operation, const Binding& binding) {
  operation_ = &operation;
  binding_ = &binding;
  kernels_ = &device::kernels(operation.type, operation.op);
  element_bytes_ = static_cast<std::int64_t>(size_of(operation.type));
  alignment_ = kAlignmentBytes / element_bytes_;
  const int lanes = static_cast<int>(binding.ports.size());
  tiles_ = tile_count(operation, binding, lanes, alignment_, element_bytes_);
  lanes_used_ = static_cast<int>(std::min<std::int64_t>(lanes, tiles_));
  active_ = binding.program.steps.empty() ? 0 : lanes_used_;
  error_ = {};
  for (int lane = 0; lane < lanes_used_; ++lane) {
    lanes_[static_cast<std::size_t>(lane)] = {
        .tile = lane,
        .step = 0,
        .range = plan::partition(operation.count, tiles_, alignment_, lane)};
  }
}

std::span<pollfd> Executor::poll_fds() {
  fds_.clear();
  for (const auto& [peer, link] : binding_->links) link->add_poll_fds(fds_);
  return fds_;
}

Pass Executor::pass() {
  bool progressed = false;
  for (int lane = 0; lane < lanes_used_; ++lane) {
    while (advance(lane)) progressed = true;
  }
  if (!error_.ok()) return Pass::done;
  if (progressed && active_ > 0) return Pass::progressed;
  return flush() && active_ == 0 ? Pass::done : Pass::blocked;
}

bool Executor::flush() {
  bool flushed = true;
  for (const auto& sender : binding_->senders) flushed = sender.port->flush() && flushed;
  return flushed;
}

Range Executor::elements(const Lane& lane, const Step& step) const {
  Range range = plan::partition_range(lane.range.count, binding_->program.chunks, alignment_,
                                      step.chunk, step.count);
  range.begin += lane.range.begin;
  return range;
}

std::byte* Executor::output(const Range& range) const {
  return static_cast<std::byte*>(operation_->recv) + range.begin * element_bytes_;
}

const std::byte* Executor::local(const Step& step, const Range& range) const {
  const void* base = (step.flags & plan::kFromInput) != 0 ? operation_->send : operation_->recv;
  return static_cast<const std::byte*>(base) + range.begin * element_bytes_;
}

void Executor::next(Lane& lane, std::size_t steps) {
  lane.step += steps;
  if (lane.step < binding_->program.steps.size()) return;
  lane.tile += lanes_used_;
  if (lane.tile >= tiles_) {
    --active_;
    return;
  }
  lane.step = 0;
  lane.range = plan::partition(operation_->count, tiles_, alignment_, lane.tile);
}

bool Executor::advance(int index) {
  Lane& lane = lanes_[static_cast<std::size_t>(index)];
  if (lane.tile >= tiles_ || lane.step >= binding_->program.steps.size() || !error_.ok()) {
    return false;
  }
  const Step& step = binding_->program.steps[lane.step];
  const StepPort port = binding_->ports[static_cast<std::size_t>(index)][lane.step];
  switch (step.op) {
    case Op::send:
      return send(lane, step, *port.send);
    case Op::recv:
    case Op::recv_reduce:
      return receive(index, lane, step, *port.recv);
    case Op::copy:
      break;
  }
  const Range range = elements(lane, step);
  if (!operation_->in_place()) {
    device::copy(output(range),
                 static_cast<const std::byte*>(operation_->send) + range.begin * element_bytes_,
                 static_cast<std::size_t>(range.count * element_bytes_), device::Store::cached);
  }
  next(lane, 1);
  return true;
}

bool Executor::send(Lane& lane, const Step& step, transport::SendPort& port) {
  const Range range = elements(lane, step);
  const auto bytes = static_cast<std::size_t>(range.count * element_bytes_);
  if (const auto* memory = lent(lane.step, bytes); memory != nullptr) {
    if (!port.send_from({local(step, range), bytes}, *memory)) return false;
  } else if (bytes > 0) {  // both ends know that an empty chunk needs no message
    const std::span<std::byte> window = port.reserve(bytes);
    if (window.data() == nullptr) return false;
    device::copy(window.data(), local(step, range), bytes, device::Store::cached);
    port.commit(bytes);
  }
  next(lane, 1);
  return true;
}

bool Executor::receive(int index, Lane& lane, const Step& step, transport::RecvPort& port) {
  const Range range = elements(lane, step);
  const auto bytes = static_cast<std::size_t>(range.count * element_bytes_);
  if (bytes == 0) {
    next(lane, 1);
    return true;
  }
  const std::span<const std::byte> incoming = port.peek();
  if (incoming.data() == nullptr) return false;
  if (incoming.size() != bytes) {
    error_ = rank_error(Code::mismatch, step.peer,
                        "rank {} expected {} bytes from rank {} in operation {} ({}) but got {}: "
                        "the ranks made different calls; compare their arguments",
                        rank_, bytes, step.peer, operation_->sequence, describe(*operation_),
                        incoming.size());
    return true;
  }
  // Fused with the next send when its port has room: the data is sent while it is in the cache.
  // What is stored anyway and can be sent from where it is stored needs no window.
  std::span<std::byte> window;
  transport::SendPort* forward = nullptr;
  const bool stored_and_lent = (step.flags & plan::kTransient) == 0 &&
                               lane.step + 1 < binding_->program.steps.size() &&
                               lent(lane.step + 1, bytes) != nullptr;
  if ((step.flags & plan::kFuseNext) != 0 && !stored_and_lent) {
    forward = binding_->ports[static_cast<std::size_t>(index)][lane.step + 1].send;
    window = forward->reserve(bytes);
  }
  std::byte* stored = output(range);
  if (step.op == Op::recv) {
    if (window.data() != nullptr) {
      device::copy(window.data(), incoming.data(), bytes, device::Store::cached);
      forward->commit(bytes);  // first: the next rank waits for it
    }
    device::copy(stored, incoming.data(), bytes, device::Store::cached);
  } else if (window.data() == nullptr) {
    combine(step, stored, local(step, range), incoming.data(), range.count);
  } else if ((step.flags & plan::kTransient) != 0) {
    combine(step, window.data(), local(step, range), incoming.data(), range.count);
    forward->commit(bytes);
  } else {
    combine_both(step, stored, window.data(), local(step, range), incoming.data(), range.count);
    forward->commit(bytes);
  }
  port.release();
  next(lane, window.data() != nullptr ? 2 : 1);
  return true;
}

void Executor::combine(const Step& step, std::byte* dst, const std::byte* local,
                       const std::byte* incoming, std::int64_t count) const {
  const bool incoming_first = (step.flags & plan::kIncomingFirst) != 0;
  const std::byte* left = incoming_first ? incoming : local;
  const std::byte* right = incoming_first ? local : incoming;
  const auto elements = static_cast<std::size_t>(count);
  if ((step.flags & plan::kFinal) != 0) {
    kernels_->reduce_final(dst, left, right, elements, size_, device::Store::cached);
  } else {
    kernels_->reduce(dst, left, right, elements, device::Store::cached);
  }
}

void Executor::combine_both(const Step& step, std::byte* first, std::byte* second,
                            const std::byte* local, const std::byte* incoming,
                            std::int64_t count) const {
  // In blocks that stay in the first-level cache between the reduction and the copy.
  const std::int64_t block = 8 * 1024 / element_bytes_;
  for (std::int64_t done = 0; done < count; done += block) {
    const std::int64_t n = std::min(block, count - done);
    const std::int64_t offset = done * element_bytes_;
    combine(step, first + offset, local + offset, incoming + offset, n);
    device::copy(second + offset, first + offset, static_cast<std::size_t>(n * element_bytes_),
                 device::Store::cached);
  }
}

Result<int> Executor::blocked_on() const {
  int peer = -1;
  for (int index = 0; index < lanes_used_; ++index) {
    const Lane& lane = lanes_[static_cast<std::size_t>(index)];
    if (lane.tile >= tiles_) continue;
    const Step& step = binding_->program.steps[lane.step];
    const StepPort port = binding_->ports[static_cast<std::size_t>(index)][lane.step];
    if (step.op != Op::send) TUTTI_TRY(port_error(port.recv->state(), step.peer));
    if (peer < 0) peer = step.peer;
  }
  for (const auto& sender : binding_->senders) {
    TUTTI_TRY(port_error(sender.port->state(), sender.peer));
    if (peer < 0) peer = sender.peer;
  }
  return peer;
}

Status Executor::port_error(transport::PortState state, int peer) const {
  if (state == transport::PortState::open) return {};
  const std::string_view reason = binding_->links.at(peer)->broken_reason();
  return rank_error(
      Code::peer_failed, peer,
      "rank {} lost its connection to rank {} in operation {} ({}): {}; look at that rank's output",
      rank_, peer, operation_->sequence, describe(*operation_),
      reason.empty() ? "that rank closed it" : reason);
}

}  // namespace tutti::runtime
