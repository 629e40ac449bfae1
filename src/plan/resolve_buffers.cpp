// The pass that gives every chunk of every step its place.
#include <cassert>
#include <utility>
#include <vector>

#include "plan/chunk_index.h"
#include "plan/layout.h"
#include "plan/passes.h"
#include "plan/scratch_slots.h"

namespace tutti::plan {
namespace {

// Where a rank's value of a chunk is.
struct Place {
  enum Where : std::uint8_t { nowhere, input, output, scratch };
  Where where = nowhere;
  std::uint16_t position = 0;  // in scratch
};

bool stores(const Step& step) {
  return step.op == Op::recv || step.op == Op::recv_reduce;
}

class Resolver {
 public:
  Resolver(Program& program, Rank rank, const Shape& shape, ChunkIndex& index)
      : program_(program),
        input_(held_in_input(shape, rank, program.chunks)),
        output_(held_in_output(shape, rank, program.chunks)),
        index_(index),
        places_(index_.size()) {}

  void run() {
    find_last_uses();
    std::vector<Step> steps;
    steps.reserve(program_.steps.size() + 1);
    std::size_t use = 0;
    for (const Step& step : program_.steps) {
      locate(step, use);
      append_parts(step, steps);
      settle(step, use);
      use += step.count;
    }
    append_copies(steps);
    program_.steps = std::move(steps);
    program_.scratch_chunks = slots_.high_water();
  }

 private:
  // last_use_[k]: after the k-th use of a chunk (all steps' chunks in order) its value is not read
  // again before it is replaced.
  void find_last_uses() {
    std::size_t use = index_.uses();
    last_use_.resize(use);
    std::vector<char> read_later(index_.size(), 0);
    for (auto step = program_.steps.rbegin(); step != program_.steps.rend(); ++step) {
      for (std::uint32_t i = step->count; i-- > 0;) {
        char& later = read_later[index_.of_use(--use)];
        last_use_[use] = static_cast<char>(later == 0);
        later = static_cast<char>(step->op != Op::recv);
      }
    }
  }

  // Fills sources_ and targets_, by chunk of the step.
  void locate(const Step& step, std::size_t first_use) {
    sources_.assign(step.count, {});
    targets_.assign(step.count, {});
    for (std::uint32_t i = 0; i < step.count; ++i) {
      const std::uint32_t chunk = step.chunk + i;
      const Place& known = places_[index_.of_use(first_use + i)];
      const bool in_input = known.where == Place::nowhere && input_.contains(chunk);
      sources_[i] = in_input ? Place{Place::input} : known;
      assert(step.op == Op::recv || sources_[i].where != Place::nowhere);
      if (!stores(step)) continue;
      if (output_.contains(chunk)) {
        targets_[i] = {Place::output};
      } else if (known.where == Place::scratch) {
        targets_[i] = known;
      }
    }
    if (stores(step)) make_room(step.count);
  }

  // Scratch for the targets that have no place, in one piece where they follow each other.
  void make_room(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count;) {
      std::uint32_t end = i;
      while (end < count && targets_[end].where == Place::nowhere) ++end;
      if (end == i) {
        ++i;
        continue;
      }
      std::uint16_t position = slots_.allocate(end - i);
      for (; i < end; ++i) targets_[i] = {Place::scratch, position++};
    }
  }

  // The step, cut into parts whose chunks all lie in the same kind of place.
  void append_parts(const Step& step, std::vector<Step>& steps) const {
    for (std::uint32_t i = 0; i < step.count; ++i) {
      Step one = step;
      one.flags = static_cast<std::uint8_t>(one.flags & ~kMore);
      one.chunk = step.chunk + i;
      one.count = 1;
      if (step.op != Op::recv && sources_[i].where == Place::input) one.flags |= kFromInput;
      const Place& named = stores(step) ? targets_[i] : sources_[i];
      if (named.where == Place::scratch) {
        one.flags |= kInScratch;
        one.scratch = named.position;
      }
      if (i > 0 && continues(steps.back(), one)) {
        ++steps.back().count;
        continue;
      }
      if (i > 0) steps.back().flags |= kMore;
      steps.push_back(one);
    }
    if ((step.flags & kMore) != 0) steps.back().flags |= kMore;
  }

  static bool continues(const Step& last, const Step& one) {
    return last.flags == one.flags &&
           ((one.flags & kInScratch) == 0 || last.scratch + last.count == one.scratch);
  }

  // Where the chunks are after the step.
  void settle(const Step& step, std::size_t first_use) {
    for (std::uint32_t i = 0; i < step.count; ++i) {
      Place& known = places_[index_.of_use(first_use + i)];
      if (stores(step)) known = targets_[i];
      if (known.where != Place::scratch || last_use_[first_use + i] == 0) continue;
      slots_.free(known.position);
      known = {};
    }
  }

  // What the output must have and only the input holds.
  void append_copies(std::vector<Step>& steps) {
    for (std::uint32_t place = 0; place < output_.count; ++place) {
      const std::uint32_t chunk = output_.first + place * output_.stride;
      if (!input_.contains(chunk) || places_[index_(chunk)].where == Place::output) continue;
      index_.add_use(chunk);
      const bool joins = !steps.empty() && steps.back().op == Op::copy &&
                         steps.back().chunk + steps.back().count == chunk;
      if (joins) {
        ++steps.back().count;
      } else {
        steps.push_back({.op = Op::copy, .chunk = chunk});
      }
    }
  }

  Program& program_;
  const Held input_;
  const Held output_;
  ChunkIndex& index_;
  std::vector<Place> places_;  // by index of the chunk; nowhere: not received yet
  std::vector<char> last_use_;
  ScratchSlots slots_;
  std::vector<Place> sources_;
  std::vector<Place> targets_;
};

}  // namespace

void resolve_buffers(Program& program, Rank rank, const Shape& shape, ChunkIndex& index) {
  Resolver(program, rank, shape, index).run();
}

}  // namespace tutti::plan
