#include "plan/passes.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "plan/chunk_index.h"
#include "plan/layout.h"

namespace tutti::plan {
namespace {

// One mark per chunk. Steps are named with their first use.
class Marks {
 public:
  Marks(const ChunkIndex& index, bool value)
      : index_(index), marks_(index.size(), static_cast<char>(value)) {}

  void set(std::uint32_t chunk, bool value) { marks_[index_(chunk)] = static_cast<char>(value); }
  void set(const Step& step, std::size_t use, bool value) {
    for (std::uint32_t i = 0; i < step.count; ++i) {
      marks_[index_.of_use(use + i)] = static_cast<char>(value);
    }
  }
  bool all(const Step& step, std::size_t use) const { return count(step, use) == step.count; }
  bool none(const Step& step, std::size_t use) const { return count(step, use) == 0; }

 private:
  std::uint32_t count(const Step& step, std::size_t use) const {
    std::uint32_t set = 0;
    for (std::uint32_t i = 0; i < step.count; ++i) {
      set += marks_[index_.of_use(use + i)] != 0 ? 1 : 0;
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

void fuse(Program& program, Rank rank, const Shape& shape, const ChunkIndex& index) {
  const Held output = held_in_output(shape, rank, program.chunks);
  // Backwards, with what the future does first to each chunk: overwrite or forget it, or read it
  // (as the caller does with the output at the end).
  Marks unread(index, true);
  for (std::uint32_t place = 0; place < output.count; ++place) {
    unread.set(output.first + place * output.stride, false);
  }
  std::size_t use = index.uses();
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const Step& step = program.steps[i];
    use -= step.count;
    if (i > 0 && forwards(program.steps, i - 1)) {
      Step& previous = program.steps[i - 1];
      previous.flags |= kFuseNext;
      if (previous.op == Op::recv_reduce && unread.all(step, use)) previous.flags |= kTransient;
    }
    unread.set(step, use, step.op == Op::recv || step.op == Op::copy);
  }
}

std::vector<bool> stable_sends(const Program& program, const Shape& shape) {
  std::vector<bool> stable(program.steps.size());
  // In place, the blocks of an all-to-all are overwritten under other names.
  if (shape.kind == Kind::all_to_all) return stable;
  const ChunkIndex index(program, {});
  Marks written(index, false);  // by the steps behind the current one
  std::size_t use = index.uses();
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const Step& step = program.steps[i];
    use -= step.count;
    // Scratch is used again. A copy is of what no step stored: in place it copies nothing, and
    // elsewhere those who send such chunks read the input.
    stable[i] = step.op == Op::send && (step.flags & kInScratch) == 0 && written.none(step, use);
    if (is_receive(step)) written.set(step, use, true);
  }
  return stable;
}

Program build(Builder builder, Rank rank, const Shape& shape) {
  assert(rank >= 0 && rank < shape.ranks);
  Program program = builder(rank, shape);
  ChunkIndex index(program, held_in_output(shape, rank, program.chunks));
  resolve_buffers(program, rank, shape, index);
  fuse(program, rank, shape, index);
  return program;
}

}  // namespace tutti::plan
