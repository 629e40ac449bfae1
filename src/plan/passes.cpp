#include "plan/passes.h"

#include <algorithm>
#include <cassert>
#include <vector>

namespace tutti::plan {
namespace {

// One mark per chunk.
class Marks {
 public:
  explicit Marks(std::uint32_t chunks) : marks_(chunks, 0) {}

  void set(const Step& step, bool value) {
    std::fill_n(marks_.begin() + step.chunk, step.count, static_cast<char>(value));
  }
  bool all(const Step& step) const { return count(step) == step.count; }
  bool none(const Step& step) const { return count(step) == 0; }
  bool operator[](std::uint32_t chunk) const { return marks_[chunk] != 0; }

 private:
  std::uint32_t count(const Step& step) const {
    const auto first = marks_.begin() + step.chunk;
    return static_cast<std::uint32_t>(std::count(first, first + step.count, 1));
  }

  std::vector<char> marks_;
};

bool is_receive(const Step& step) {
  return step.op == Op::recv || step.op == Op::recv_reduce;
}

bool same_chunks(const Step& a, const Step& b) {
  return a.chunk == b.chunk && a.count == b.count;
}

}  // namespace

void resolve_buffers(Program& program, bool holds_input) {
  if (!holds_input) return;
  Marks written(program.chunks);
  for (Step& step : program.steps) {
    if (step.op != Op::recv) {
      assert(written.all(step) || written.none(step));
      if (written.none(step)) step.flags |= kFromInput;
    }
    if (is_receive(step)) written.set(step, true);
  }
  for (std::uint32_t chunk = 0; chunk < program.chunks;) {
    std::uint32_t end = chunk;
    while (end < program.chunks && !written[end]) ++end;
    if (end > chunk) {
      program.steps.push_back({.op = Op::copy, .chunk = chunk, .count = end - chunk});
    }
    chunk = end + 1;
  }
}

void fuse(Program& program) {
  // Backwards, with what the future does first to each chunk: overwrite it, or read it (as the
  // caller does at the end).
  Marks overwritten(program.chunks);
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const Step& step = program.steps[i];
    if (step.op == Op::send && i > 0) {
      Step& previous = program.steps[i - 1];
      if (is_receive(previous) && same_chunks(previous, step)) {
        previous.flags |= kFuseNext;
        if (previous.op == Op::recv_reduce && overwritten.all(step)) previous.flags |= kTransient;
      }
    }
    overwritten.set(step, step.op == Op::recv || step.op == Op::copy);
  }
}

std::vector<bool> stable_sends(const Program& program) {
  std::vector<bool> stable(program.steps.size());
  Marks written(program.chunks);  // by the steps behind the current one
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const Step& step = program.steps[i];
    stable[i] = step.op == Op::send && written.none(step);
    if (step.op != Op::send) written.set(step, true);
  }
  return stable;
}

Program build(Builder builder, Rank rank, const Shape& shape) {
  assert(rank >= 0 && rank < shape.ranks);
  Program program = builder(rank, shape);
  resolve_buffers(program, shape.kind == Kind::all_reduce || rank == shape.root);
  fuse(program);
  return program;
}

}  // namespace tutti::plan
