#include "plan/verify.h"

#include <array>
#include <cassert>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/try.h"
#include "plan/interpreter.h"
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

Status check_rank(const Shape& shape, const Interpreter& machine,
                  std::span<const std::uint64_t> sums, Rank rank) {
  const std::span<const Value> output = machine.output(rank);
  for (std::size_t chunk = 0; chunk < output.size(); ++chunk) {
    const Value& value = output[chunk];
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
    if (shape.kind == Kind::all_reduce && shape.ranks > 1 && !value.final) {
      return error(Code::internal, "rank {} ends with a value in chunk {} that no step made final",
                   rank, chunk);
    }
    if (value.order != machine.output(0)[chunk].order) {
      return error(Code::internal,
                   "rank {} combined the values of chunk {} in another order than rank 0", rank,
                   chunk);
    }
  }
  return {};
}

std::vector<std::uint64_t> right_sums(const Shape& shape, std::uint32_t chunks,
                                      std::uint64_t seed) {
  std::vector<std::uint64_t> sums(chunks, 0);
  for (Rank rank = 0; rank < shape.ranks; ++rank) {
    if (shape.kind == Kind::broadcast && rank != shape.root) continue;
    for (std::uint32_t c = 0; c < chunks; ++c) sums[c] += Value::input(seed, rank, c).sum;
  }
  return sums;
}

Result<Verdict> verify_run(const Shape& shape, std::span<const Program> programs, const Run& run) {
  Interpreter machine(shape, programs, run);
  if (Status fault = machine.execute(); !fault.ok()) return in_run(run, fault);
  const std::vector<std::uint64_t> sums = right_sums(shape, programs[0].chunks, run.seed);
  for (Rank rank = 0; rank < shape.ranks; ++rank) {
    Status fault = check_rank(shape, machine, sums, rank);
    if (!fault.ok()) return in_run(run, fault);
  }
  Verdict verdict;
  for (const Value& value : machine.output(0)) {
    verdict.order = verdict.order * 0x100000001b3 + value.order;
    verdict.grouping = verdict.grouping * 0x100000001b3 + value.grouping;
  }
  return verdict;
}

std::vector<Run> all_runs(const Shape& shape, const VerifyOptions& options) {
  std::vector<Run> runs;
  std::uint64_t seed = options.seed;
  for (const std::size_t credits : kCredits) {
    for (const bool in_place : {false, true}) {
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
