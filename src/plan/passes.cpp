#include "plan/passes.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "plan/chunk_index.h"
#include "plan/layout.h"

namespace tutti::plan {
namespace {

// One mark per chunk.
class Marks {
 public:
  Marks(const ChunkIndex& index, bool value)
      : index_(index), marks_(index.size(), static_cast<char>(value)) {}

  void set(std::uint32_t chunk, bool value) { marks_[index_(chunk)] = static_cast<char>(value); }
  void set(const Step& step, bool value) {
    for (std::uint32_t i = 0; i < step.count; ++i) set(step.chunk + i, value);
  }
  bool all(const Step& step) const { return count(step) == step.count; }
  bool none(const Step& step) const { return count(step) == 0; }

 private:
  std::uint32_t count(const Step& step) const {
    std::uint32_t set = 0;
    for (std::uint32_t i = 0; i < step.count; ++i) {
      set += marks_[index_(step.chunk + i)] != 0 ? 1 : 0;
    }
    return set;
  }

  const ChunkIndex& index_;
  std::vector<char> marks_;
};

bool is_receive(const Step& step) {
  return step.op == Op::recv || step.op == Op::recv_reduce;
}

// A message of one part that stores chunks, and then one that sends the same.
bool forwards(const std::vector<Step>& steps, std::size_t receive) {
  const Step& a = steps[receive];
  const Step& b = steps[receive + 1];
  const bool continued = receive > 0 && (steps[receive - 1].flags & kMore) != 0;
  return is_receive(a) && b.op == Op::send && a.chunk == b.chunk && a.count == b.count &&
         ((a.flags | b.flags) & kMore) == 0 && !continued;
}

}  // namespace

void fuse(Program& program, Rank rank, const Shape& shape) {
  const Held output = held_in_output(shape, rank, program.chunks);
  const ChunkIndex index(program, output);
  // Backwards, with what the future does first to each chunk: overwrite or forget it, or read it
  // (as the caller does with the output at the end).
  Marks unread(index, true);
  for (std::uint32_t place = 0; place < output.count; ++place) {
    unread.set(output.first + place * output.stride, false);
  }
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const Step& step = program.steps[i];
    if (i > 0 && forwards(program.steps, i - 1)) {
      Step& previous = program.steps[i - 1];
      previous.flags |= kFuseNext;
      if (previous.op == Op::recv_reduce && unread.all(step)) previous.flags |= kTransient;
    }
    unread.set(step, step.op == Op::recv || step.op == Op::copy);
  }
}

std::vector<bool> stable_sends(const Program& program, const Shape& shape) {
  std::vector<bool> stable(program.steps.size());
  const ChunkIndex index(program, {});
  Marks written(index, false);  // by the steps behind the current one
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const Step& step = program.steps[i];
    // In place, the blocks of an all-to-all are overwritten under other names. Scratch is used
    // again.
    stable[i] = step.op == Op::send && shape.kind != Kind::all_to_all &&
                (step.flags & kInScratch) == 0 && written.none(step);
    if (step.op != Op::send) written.set(step, true);
  }
  return stable;
}

Program build(Builder builder, Rank rank, const Shape& shape) {
  assert(rank >= 0 && rank < shape.ranks);
  Program program = builder(rank, shape);
  resolve_buffers(program, rank, shape);
  fuse(program, rank, shape);
  return program;
}

}  // namespace tutti::plan
