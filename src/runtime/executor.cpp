#include "runtime/executor.h"

#include <algorithm>

#include "base/error.h"
#include "base/try.h"
#include "runtime/tag.h"

namespace tutti::runtime {

using plan::Op;
using plan::Step;

namespace {

constexpr std::size_t kScratchAlignment = 64;

}  // namespace

Status Executor::run(const Operation& operation, const Call& call, const Binding& binding) {
  begin(operation, call, binding);
  borrow_buffers();
  Status status = waiter_.run(
      CollectiveActivity(call), [this] { return poll_fds(); }, [this] { return pass(); },
      [this] { return blocked_on(); });
  return_buffers();
  return status.ok() ? std::move(error_) : std::move(status);
}

void Executor::begin(const Operation& operation, const Call& call, const Binding& binding) {
  operation_ = &operation;
  call_ = &call;
  binding_ = &binding;
  kernels_ = plan::reduces(operation.collective)
                 ? &device::kernels(operation.type, operation.reduction.op())
                 : nullptr;
  element_bytes_ = operation.element_bytes();
  tag_ = tag_of(call);
  pairs_differ_ = has_pair_counts(call);
  const int lanes = static_cast<int>(binding.ports.size());
  tiling_.begin(
      operation, binding.program, rank_, size_,
      {.message_bytes_max = binding.slot_bytes, .tile_bytes_min = tile_bytes_min_, .lanes = lanes});
  lanes_used_ = static_cast<int>(std::min<std::int64_t>(lanes, tiling_.tiles()));
  active_ = binding.program.steps.empty() ? 0 : lanes_used_;
  error_ = {};
  for (int lane = 0; lane < lanes_used_; ++lane) {
    lanes_[static_cast<std::size_t>(lane)] = {.tile = lane};
  }
  divide_scratch();
}

void Executor::divide_scratch() {
  const bool scales = operation_->reduction.factor_kind() != Reduction::Factor::none;
  const auto program_bytes =
      static_cast<std::size_t>(tiling_.scratch_stride()) * binding_->program.scratch_chunks;
  const auto copy_bytes = scales ? static_cast<std::size_t>(tiling_.input_copy_bytes()) : 0;
  const std::size_t lane_bytes = program_bytes + copy_bytes;
  if (lane_bytes == 0) return;
  const std::size_t bytes = lane_bytes * static_cast<std::size_t>(lanes_used_) + kScratchAlignment;
  if (scratch_.size() < bytes) scratch_.resize(bytes);
  const auto begin = reinterpret_cast<std::uintptr_t>(scratch_.data());
  std::byte* at = scratch_.data() + (kScratchAlignment - begin % kScratchAlignment);
  for (int index = 0; index < lanes_used_; ++index) {
    Lane& lane = lanes_[static_cast<std::size_t>(index)];
    lane.scratch = at;
    lane.input_copy = scales ? at + program_bytes : nullptr;
    if (scales) scale_input(lane);
    at += lane_bytes;
  }
}

// A premultiplied sum reads a tile's input times the factor, from here on.
void Executor::scale_input(Lane& lane) {
  const plan::Held& held = tiling_.input();
  const std::uint32_t ranges = tiling_.blocks() ? held.count : 1;
  for (std::uint32_t i = 0; i < ranges; ++i) {
    const std::uint32_t chunk = held.first + i * held.stride;
    const std::uint32_t chunks = tiling_.blocks() ? 1 : held.count;
    device::scale(
        operation_->type, lane.input_copy + tiling_.input_copy_offset(lane.tile, chunk),
        static_cast<const std::byte*>(operation_->send) + tiling_.input_offset(lane.tile, chunk),
        static_cast<std::size_t>(tiling_.elements(lane.tile, chunk, chunks)),
        operation_->reduction);
  }
}

// Once per operation, and only when some message is long enough to gain from it.
void Executor::borrow_buffers() {
  if (binding_->lender == nullptr || active_ == 0) return;
  const plan::Program& program = binding_->program;
  const plan::Shape shape = shape_of(*operation_, size_);
  const std::int64_t total = runtime::message_bytes(*operation_, size_);
  const std::int64_t largest = total / tiling_.tiles() /
                               plan::chunks_per_buffer(shape, program.chunks) *
                               program.largest_message;
  if (largest < static_cast<std::int64_t>(binding_->borrow_bytes) || operation_->uneven) return;
  const std::int64_t block = operation_->bytes();
  const bool sends_blocks = plan::held_in_input(shape, rank_, program.chunks).count > 1;
  const bool has_blocks = plan::has_blocks(shape.kind);
  const bool recvs_blocks = plan::held_in_output(shape, rank_, program.chunks).count > 1;
  const auto bytes_of = [&](bool blocks) {
    return static_cast<std::size_t>(has_blocks && blocks ? block * size_ : block);
  };
  if (operation_->recv != nullptr) {
    lent_recv_ = binding_->lender->acquire(operation_->recv, bytes_of(recvs_blocks));
  }
  if (operation_->send != nullptr) {
    lent_send_ = binding_->lender->acquire(operation_->send, bytes_of(sends_blocks));
  }
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
  if (operation_->in_place && !borrow.in_place) return nullptr;
  const Step& step = binding_->program.steps[index];
  if (pieces(step) != 1 || message_end(index) != index + 1) return nullptr;
  const bool continued = index > 0 && (binding_->program.steps[index - 1].flags & plan::kMore) != 0;
  if (continued) return nullptr;
  const bool from_input = (step.flags & plan::kFromInput) != 0;
  if (from_input) return lanes_[0].input_copy == nullptr ? lent_send_ : nullptr;
  return borrow.in_place ? lent_recv_ : nullptr;
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

std::uint32_t Executor::pieces(const Step& step) const {
  const bool apart = tiling_.blocks() || (step.flags & plan::kInScratch) != 0;
  return apart ? step.count : 1;
}

Executor::Piece Executor::piece(const Lane& lane, const Step& step, std::uint32_t index) const {
  const bool in_scratch = (step.flags & plan::kInScratch) != 0;
  const bool from_input = (step.flags & plan::kFromInput) != 0 || step.op == Op::copy;
  const std::uint32_t chunk = step.chunk + index;
  Piece piece;
  piece.elements = tiling_.elements(lane.tile, chunk, pieces(step) == 1 ? step.count : 1);
  if (in_scratch) {
    piece.target = lane.scratch + (step.scratch + index) * tiling_.scratch_stride();
  } else if (step.op != Op::send || !from_input) {
    piece.target =
        static_cast<std::byte*>(operation_->recv) + tiling_.output_offset(lane.tile, chunk);
  }
  piece.source = piece.target;
  if (from_input && lane.input_copy != nullptr) {
    piece.source = lane.input_copy + tiling_.input_copy_offset(lane.tile, chunk);
  } else if (from_input) {
    piece.source =
        static_cast<const std::byte*>(operation_->send) + tiling_.input_offset(lane.tile, chunk);
  }
  return piece;
}

std::size_t Executor::message_end(std::size_t first) const {
  const std::vector<Step>& steps = binding_->program.steps;
  while ((steps[first].flags & plan::kMore) != 0) ++first;
  return first + 1;
}

std::size_t Executor::message_bytes(const Lane& lane, std::size_t first, std::size_t end) const {
  std::int64_t elements = 0;
  for (std::size_t i = first; i < end; ++i) {
    const Step& step = binding_->program.steps[i];
    if (pieces(step) == 1) {
      elements += tiling_.elements(lane.tile, step.chunk, step.count);
      continue;
    }
    for (std::uint32_t k = 0; k < step.count; ++k) {
      elements += tiling_.elements(lane.tile, step.chunk + k, 1);
    }
  }
  return static_cast<std::size_t>(elements * element_bytes_);
}

std::uint64_t Executor::tag(const Step& step) const {
  if (!pairs_differ_) return tag_;
  const Blocks& blocks = step.op == Op::send ? operation_->send_blocks : operation_->recv_blocks;
  return tag_of_pair(tag_, blocks.counts[static_cast<std::size_t>(step.peer)]);
}

void Executor::next(Lane& lane, std::size_t step) {
  lane.step = step;
  if (lane.step < binding_->program.steps.size()) return;
  lane.tile += lanes_used_;
  if (lane.tile >= tiling_.tiles()) {
    --active_;
    return;
  }
  lane.step = 0;
  if (lane.input_copy != nullptr) scale_input(lane);
}

bool Executor::advance(int index) {
  Lane& lane = lanes_[static_cast<std::size_t>(index)];
  if (lane.tile >= tiling_.tiles() || lane.step >= binding_->program.steps.size() || !error_.ok()) {
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
      copy(lane, step);
      break;
  }
  return true;
}

void Executor::copy(Lane& lane, const Step& step) {
  for (std::uint32_t i = 0; i < pieces(step); ++i) {
    const Piece one = piece(lane, step, i);
    if (one.source == one.target) continue;
    device::copy(one.target, one.source, static_cast<std::size_t>(one.elements * element_bytes_),
                 device::Store::cached);
  }
  next(lane, lane.step + 1);
}

bool Executor::send(Lane& lane, const Step& first, transport::SendPort& port) {
  const std::size_t end = message_end(lane.step);
  const std::size_t bytes = message_bytes(lane, lane.step, end);
  if (const auto* memory = lent(lane.step, bytes); memory != nullptr) {
    if (!port.send_from({piece(lane, first, 0).source, bytes}, *memory, tag(first))) return false;
  } else if (bytes > 0) {
    const std::span<std::byte> window = port.reserve(bytes);
    if (window.data() == nullptr) return false;
    std::byte* at = window.data();
    for (std::size_t i = lane.step; i < end; ++i) {
      const Step& step = binding_->program.steps[i];
      for (std::uint32_t k = 0; k < pieces(step); ++k) {
        const Piece one = piece(lane, step, k);
        const auto n = static_cast<std::size_t>(one.elements * element_bytes_);
        device::copy(at, one.source, n, device::Store::shared);
        at += n;
      }
    }
    port.commit(bytes, tag(first));
  }
  next(lane, end);
  return true;
}

bool Executor::receive(int index, Lane& lane, const Step& first, transport::RecvPort& port) {
  const std::size_t end = message_end(lane.step);
  const std::size_t bytes = message_bytes(lane, lane.step, end);
  if (bytes == 0) {  // both ends know that
    next(lane, end);
    return true;
  }
  const bool copies = first.op == Op::recv;
  if (copies && end == lane.step + 1 && pieces(first) == 1) {
    port.offer({piece(lane, first, 0).target, bytes});
  }
  const std::span<const std::byte> incoming = port.peek();
  if (incoming.data() == nullptr) return false;
  if (incoming.size() != bytes || port.tag() != tag(first)) {
    error_ = unexpected(first, port.tag(), incoming.size(), bytes);
    return true;
  }
  std::span<std::byte> window;
  transport::SendPort* const forward = forward_port(index, lane, bytes, window);
  if (forward != nullptr && copies) {
    device::copy(window.data(), incoming.data(), bytes, device::Store::shared);
    forward->commit(bytes, tag_);  // first: the next rank waits for it
  }
  std::size_t at = 0;
  for (std::size_t i = lane.step; i < end; ++i) {
    const Step& step = binding_->program.steps[i];
    for (std::uint32_t k = 0; k < pieces(step); ++k) {
      const Piece one = piece(lane, step, k);
      take(step, one, incoming.data() + at,
           forward != nullptr && !copies ? window.data() + at : nullptr);
      at += static_cast<std::size_t>(one.elements * element_bytes_);
    }
  }
  if (forward != nullptr && !copies) forward->commit(bytes, tag_);
  port.release();
  next(lane, forward != nullptr ? end + 1 : end);
  return true;
}

// A message is sent on while it is in the cache, if the next port has room. What is stored anyway
// and can be sent from where it is stored needs no window.
transport::SendPort* Executor::forward_port(int index, const Lane& lane, std::size_t bytes,
                                            std::span<std::byte>& window) {
  const Step& step = binding_->program.steps[lane.step];
  if ((step.flags & plan::kFuseNext) == 0) return nullptr;
  const bool transient = (step.flags & plan::kTransient) != 0;
  if (!transient && lent(lane.step + 1, bytes) != nullptr) return nullptr;
  transport::SendPort* const port =
      binding_->ports[static_cast<std::size_t>(index)][lane.step + 1].send;
  window = port->reserve(bytes);
  return window.data() != nullptr ? port : nullptr;
}

// Stores one piece of a message, and what becomes of it in `forward` too if that is not null.
void Executor::take(const Step& step, const Piece& piece, const std::byte* incoming,
                    std::byte* forward) const {
  if (step.op == Op::recv) {
    if (incoming == piece.target) return;  // it was received there
    device::copy(piece.target, incoming, static_cast<std::size_t>(piece.elements * element_bytes_),
                 device::Store::cached);
  } else if (forward == nullptr) {
    combine(step, piece.target, piece.source, incoming, piece.elements);
  } else if ((step.flags & plan::kTransient) != 0) {
    combine(step, forward, piece.source, incoming, piece.elements);
  } else {
    combine_both(step, piece.target, forward, piece.source, incoming, piece.elements);
  }
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

}  // namespace tutti::runtime
