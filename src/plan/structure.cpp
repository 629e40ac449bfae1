#include "plan/structure.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/try.h"
#include "plan/print.h"

namespace tutti::plan {
namespace {

std::uint8_t allowed_flags(Op op) {
  switch (op) {
    case Op::send:
      return kFromInput;
    case Op::recv:
      return kFuseNext;
    case Op::recv_reduce:
      return kIncomingFirst | kFinal | kFromInput | kFuseNext | kTransient;
    case Op::copy:
      return 0;
  }
  return 0;
}

// Why `step` of `rank` makes no sense; empty when it does. `next` is the step after it, if any.
std::string_view fault(const Step& step, const Step* next, Rank rank, const Shape& shape,
                       const Program& program) {
  if (step.op > Op::copy) return "has an unknown op";
  if (step.reserved != 0) return "has a reserved field that is not zero";
  if (step.op == Op::copy && step.peer != -1) return "copies, and yet names a peer";
  if (step.op != Op::copy) {
    if (step.peer < 0 || step.peer >= shape.ranks) return "names a peer out of range";
    if (step.peer == rank) return "names its own rank as peer";
    if (step.count > program.largest_message) return "exceeds the plan's largest message";
  }
  if (step.op == Op::recv_reduce && shape.kind == Kind::broadcast) return "reduces in a broadcast";
  if (step.count == 0) return "covers no chunk";
  if (step.chunk >= program.chunks || step.count > program.chunks - step.chunk) {
    return "covers chunks out of range";
  }
  if ((step.flags & ~allowed_flags(step.op)) != 0) return "has a flag that its op does not take";
  if ((step.flags & kTransient) != 0 && (step.flags & kFuseNext) == 0) {
    return "is transient, but not fused with a send";
  }
  if ((step.flags & kFuseNext) != 0) {
    const bool pair = next != nullptr && next->op == Op::send && next->chunk == step.chunk &&
                      next->count == step.count && (next->flags & kFromInput) == 0;
    if (!pair) return "is fused, but not with a send of the chunks that it stores";
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
    const Step& step = program.steps[i];
    const Step* next = i + 1 < program.steps.size() ? &program.steps[i + 1] : nullptr;
    const std::string_view why = fault(step, next, rank, shape, program);
    if (!why.empty()) {
      return error(Code::internal, "plan: rank {} step {} ({}) {}", rank, i, text(step), why);
    }
  }
  return {};
}

}  // namespace

Status check_structure(const Shape& shape, std::span<const Program> programs) {
  if (shape.ranks < 1 || programs.size() != static_cast<std::size_t>(shape.ranks)) {
    return error(Code::internal, "plan: {} programs for {} ranks", programs.size(), shape.ranks);
  }
  std::uint32_t largest = 0;
  for (Rank rank = 0; rank < shape.ranks; ++rank) {
    const Program& program = programs[static_cast<std::size_t>(rank)];
    TUTTI_TRY(check_program(shape, rank, program, programs[0]));
    for (const Step& step : program.steps) {
      if (step.op != Op::copy) largest = std::max(largest, step.count);
    }
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
