#include "plan/verify.h"

#include <array>
#include <cassert>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "plan/interpreter.h"
#include "plan/layout.h"
#include "plan/structure.h"

namespace tutti::plan {
namespace {

constexpr std::array<std::size_t, 3> kCredits = {1, 2, 8};
// No plan has as many messages on one channel: nothing but the plan makes a sender wait.
constexpr std::size_t kUnlimitedCredits = ~std::size_t{0};

std::string_view name(Schedule schedule) {
  switch (schedule) {
    case Schedule::random:
      return "random";
    case Schedule::eager:
      return "eager";
    case Schedule::lazy:
      return "lazy";
  }
  return "invalid";
}

// Adds how to reproduce the run.
Status in_run(const Run& run, const Status& fault) {
  return error(Code::internal, "plan: {} (credits {}, {}, {} interleaving, late rank {}, seed {})",
               fault.message(), run.credits, run.in_place ? "in place" : "not in place",
               name(run.schedule), run.late_rank, run.seed);
}

// The rank whose data a chunk is, in a collective that only moves data.
Rank origin(const Shape& shape, std::uint32_t chunk) {
  switch (shape.kind) {
    case Kind::broadcast:
    case Kind::scatter:
      return shape.root;
    case Kind::all_to_all:
      return static_cast<Rank>(chunk / static_cast<std::uint32_t>(shape.ranks));
    default:
      return static_cast<Rank>(chunk);
  }
}

std::uint64_t right_sum(const Shape& shape, std::uint32_t chunk, std::uint64_t seed) {
  if (!reduces(shape.kind)) {
    return Value::input(shape.kind, seed, origin(shape, chunk), chunk).sum;
  }
  Value total = Value::input(shape.kind, seed, 0, chunk);
  for (Rank rank = 1; rank < shape.ranks; ++rank) {
    total = Value::combine(shape.kind, total, Value::input(shape.kind, seed, rank, chunk), false);
  }
  return total.sum;
}

// Do several ranks end with the same chunks, combined by steps?
bool must_agree(const Shape& shape) {
  return shape.kind == Kind::all_reduce;
}

Status check_rank(const Shape& shape, const Interpreter& machine,
                  std::span<const std::uint64_t> sums, Rank rank) {
  const Held held = held_in_output(shape, rank, static_cast<std::uint32_t>(sums.size()));
  for (std::uint32_t place = 0; place < held.count; ++place) {
    const std::uint32_t chunk = held.first + place * held.stride;
    const Value& value = machine.output(rank, chunk);
    if (!value.defined) {
      return error(Code::internal, "rank {} ends with nothing defined in chunk {}", rank, chunk);
    }
    if (value.sum != sums[chunk]) {
      return error(
          Code::internal,
          "rank {} ends with a wrong value in chunk {}: a contribution is lost, doubled or "
          "misplaced",
          rank, chunk);
    }
    const bool completed = shape.ranks == 1 || shape.kind == Kind::barrier || value.final;
    if (reduces(shape.kind) && !completed) {
      return error(Code::internal, "rank {} ends with a value in chunk {} that no step made final",
                   rank, chunk);
    }
    if (must_agree(shape) && value.order != machine.output(0, chunk).order) {
      return error(Code::internal,
                   "rank {} combined the values of chunk {} in another order than rank 0", rank,
                   chunk);
    }
  }
  return {};
}

void add_to(Verdict& verdict, const Value& value) {
  verdict.order = verdict.order * 0x100000001b3 + value.order;
  verdict.grouping = verdict.grouping * 0x100000001b3 + value.grouping;
}

Result<Verdict> verify_run(const Shape& shape, std::span<const Program> programs, const Run& run) {
  Interpreter machine(shape, programs, run);
  if (Status fault = machine.execute(); !fault.ok()) return in_run(run, fault);
  const std::uint32_t chunks = programs[0].chunks;
  std::vector<std::uint64_t> sums(chunks);
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    sums[chunk] = right_sum(shape, chunk, run.seed);
  }
  Verdict verdict;
  for (Rank rank = 0; rank < shape.ranks; ++rank) {
    if (Status fault = check_rank(shape, machine, sums, rank); !fault.ok()) {
      return in_run(run, fault);
    }
    if (must_agree(shape) && rank > 0) continue;
    const Held held = held_in_output(shape, rank, chunks);
    for (std::uint32_t place = 0; place < held.count; ++place) {
      add_to(verdict, machine.output(rank, held.first + place * held.stride));
    }
  }
  return verdict;
}

std::vector<Run> all_runs(const Shape& shape, const VerifyOptions& options) {
  std::vector<Run> runs;
  std::uint64_t seed = options.seed;
  for (const std::size_t credits : kCredits) {
    for (const bool in_place : {false, true}) {
      if (in_place && !options.in_place) continue;
      Run run{.credits = credits, .in_place = in_place, .seed = seed};
      runs.push_back(run);
      run.schedule = Schedule::lazy;
      run.late_rank = static_cast<Rank>(seed % static_cast<std::uint64_t>(shape.ranks));
      runs.push_back(run);
      run.schedule = Schedule::random;
      for (int i = 0; i < options.random_interleavings; ++i) {
        run.seed = ++seed;
        runs.push_back(run);
      }
    }
  }
  return runs;
}

}  // namespace

Result<Verdict> verify(const Shape& shape, std::span<const Program> programs,
                       const VerifyOptions& options) {
  TUTTI_TRY(check_structure(shape, programs));
  if (shape.kind == Kind::barrier && shape.ranks > kBarrierRanksMax) {
    return error(Code::internal, "plan: a barrier of {} ranks; at most {} can be verified",
                 shape.ranks, kBarrierRanksMax);
  }
  std::optional<Verdict> first;
  for (const Run& run : all_runs(shape, options)) {
    TUTTI_TRY_ASSIGN(const Verdict verdict, verify_run(shape, programs, run));
    if (!first) first = verdict;
    // Each value is one expression of single inputs: with the right inputs in it, nothing that
    // differs between the runs can change it.
    assert(verdict.order == first->order);
  }
  return *first;
}

Status verify_without_copies(const Shape& shape, std::span<const Program> programs, bool in_place,
                             std::uint64_t seed) {
  TUTTI_TRY(check_structure(shape, programs));
  for (Rank late = 0; late < shape.ranks; ++late) {
    const Run run{.credits = kUnlimitedCredits,
                  .in_place = in_place,
                  .without_copies = true,
                  .schedule = Schedule::lazy,
                  .late_rank = late,
                  .seed = seed};
    if (Status fault = Interpreter(shape, programs, run).execute(); !fault.ok()) {
      return in_run(run, fault);
    }
  }
  return {};
}

}  // namespace tutti::plan
