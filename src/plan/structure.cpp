#include "plan/structure.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/try.h"
#include "plan/layout.h"
#include "plan/print.h"

namespace tutti::plan {
namespace {

std::uint8_t allowed_flags(Op op) {
  switch (op) {
    case Op::send:
      return kFromInput | kInScratch | kMore;
    case Op::recv:
      return kFuseNext | kInScratch | kMore;
    case Op::recv_reduce:
      return kIncomingFirst | kFinal | kFromInput | kFuseNext | kTransient | kInScratch | kMore;
    case Op::copy:
      return 0;
  }
  return 0;
}

bool same_message(const Step& step, const Step* next) {
  return next != nullptr && next->peer == step.peer && next->op != Op::copy &&
         (next->op == Op::send) == (step.op == Op::send);
}

// A receive of one part whose next step sends the chunks from where it stores them.
bool is_fusible(const Step& step, const Step* previous, const Step* next) {
  const bool continued = previous != nullptr && (previous->flags & kMore) != 0;
  return !continued && next != nullptr && next->op == Op::send && next->chunk == step.chunk &&
         next->count == step.count && next->scratch == step.scratch &&
         (next->flags & kInScratch) == (step.flags & kInScratch) &&
         ((next->flags | step.flags) & kMore) == 0 && (next->flags & kFromInput) == 0;
}

std::string_view fault_of_chunks(const Step& step, Rank rank, const Shape& shape,
                                 const Program& program) {
  if (step.count == 0) return "covers no chunk";
  if (step.chunk >= program.chunks || step.count > program.chunks - step.chunk) {
    return "covers chunks out of range";
  }
  const Held input = held_in_input(shape, rank, program.chunks);
  const Held output = held_in_output(shape, rank, program.chunks);
  const bool in_scratch = (step.flags & kInScratch) != 0;
  const bool from_input = (step.flags & kFromInput) != 0 || step.op == Op::copy;
  const bool in_output = !in_scratch && (step.op != Op::send || !from_input);
  for (std::uint32_t chunk = step.chunk; chunk < step.chunk + step.count; ++chunk) {
    if (from_input && !input.contains(chunk)) return "reads chunks that the input does not have";
    if (in_output && !output.contains(chunk)) return "uses chunks that the output does not have";
  }
  if (!in_scratch) return step.scratch != 0 ? "has a scratch position that it does not use" : "";
  if (step.op == Op::send && from_input) return "is both from the input and from scratch";
  if (step.scratch + step.count > program.scratch_chunks) return "uses scratch out of range";
  return {};
}

// Why step `i` of `rank` makes no sense; empty when it does.
std::string_view fault(std::size_t i, Rank rank, const Shape& shape, const Program& program) {
  const Step& step = program.steps[i];
  const Step* previous = i > 0 ? &program.steps[i - 1] : nullptr;
  const Step* next = i + 1 < program.steps.size() ? &program.steps[i + 1] : nullptr;
  if (step.op > Op::copy) return "has an unknown op";
  if ((step.flags & ~allowed_flags(step.op)) != 0) return "has a flag that its op does not take";
  if (step.op == Op::copy && step.peer != -1) return "copies, and yet names a peer";
  if (step.op != Op::copy) {
    if (step.peer < 0 || step.peer >= shape.ranks) return "names a peer out of range";
    if (step.peer == rank) return "names its own rank as peer";
  }
  if (step.op == Op::recv_reduce && !reduces(shape.kind))
    return "reduces in a collective that moves";
  if (const auto why = fault_of_chunks(step, rank, shape, program); !why.empty()) return why;
  if ((step.flags & kTransient) != 0 && (step.flags & kFuseNext) == 0) {
    return "is transient, but not fused with a send";
  }
  if ((step.flags & kFuseNext) != 0 && !is_fusible(step, previous, next)) {
    return "is fused, but not with a send of the chunks that it stores";
  }
  if ((step.flags & kMore) != 0 && !same_message(step, next)) {
    return "goes on with the next step, which is not of the same message";
  }
  return {};
}

Status check_program(const Shape& shape, Rank rank, const Program& program, const Program& first) {
  if (program.chunks == 0 || program.chunks != first.chunks) {
    return error(Code::internal, "plan: rank {} has {} chunks and rank 0 has {}", rank,
                 program.chunks, first.chunks);
  }
  if (program.largest_message == 0 || program.largest_message != first.largest_message) {
    return error(Code::internal,
                 "plan: rank {} has messages of up to {} chunks and rank 0 of up to {}", rank,
                 program.largest_message, first.largest_message);
  }
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const std::string_view why = fault(i, rank, shape, program);
    if (!why.empty()) {
      return error(Code::internal, "plan: rank {} step {} ({}) {}", rank, i, text(program.steps[i]),
                   why);
    }
  }
  return {};
}

// In chunks.
std::uint32_t largest_message(const Program& program) {
  std::uint32_t largest = 0;
  std::uint32_t message = 0;
  for (const Step& step : program.steps) {
    message += step.count;
    if (step.op != Op::copy) largest = std::max(largest, message);
    if ((step.flags & kMore) == 0) message = 0;
  }
  return largest;
}

Status check_chunks(const Shape& shape, const Program& program) {
  if (has_blocks(shape.kind) && program.chunks != block_count(shape)) {
    return error(Code::internal, "plan: {} chunks, but {} of {} ranks has {} blocks",
                 program.chunks, name(shape.kind), shape.ranks, block_count(shape));
  }
  return {};
}

}  // namespace

Status check_structure(const Shape& shape, std::span<const Program> programs) {
  if (shape.ranks < 1 || programs.size() != static_cast<std::size_t>(shape.ranks)) {
    return error(Code::internal, "plan: {} programs for {} ranks", programs.size(), shape.ranks);
  }
  TUTTI_TRY(check_chunks(shape, programs[0]));
  std::uint32_t largest = 0;
  for (Rank rank = 0; rank < shape.ranks; ++rank) {
    const Program& program = programs[static_cast<std::size_t>(rank)];
    TUTTI_TRY(check_program(shape, rank, program, programs[0]));
    largest = std::max(largest, largest_message(program));
  }
  // A tile cut for larger messages than there are would leave slots partly empty.
  if (largest != 0 && largest != programs[0].largest_message) {
    return error(Code::internal,
                 "plan: messages of up to {} chunks are declared, the largest is {}",
                 programs[0].largest_message, largest);
  }
  return {};
}

}  // namespace tutti::plan
