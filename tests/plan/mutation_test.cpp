// The verifier is tested by mutation: one step of a right plan is changed in one way, and the
// verifier must object. A mutant that it passes must be shown to be the same plan in effect, by a
// rule below that looks at the steps alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <compare>
#include <iomanip>
#include <iostream>
#include <map>
#include <set>

#include "plan/layout.h"
#include "plan/plans.h"
#include "plan/verify.h"

namespace tutti::plan {
namespace {

enum class Change { peer, chunk, count, op, scratch, drop, doubled, swap, flag };

struct Mutant {
  Change change;
  Program program;
  std::size_t step;
  std::uint8_t flag = 0;
};

void add(std::vector<Mutant>& mutants, Change change, const Program& program, std::size_t i,
         Step step) {
  mutants.push_back({change, program, i});
  mutants.back().program.steps[i] = step;
}

void change_fields(std::vector<Mutant>& mutants, const Program& program, std::size_t i, Rank n) {
  const Step& right = program.steps[i];
  Step step = right;
  for (step.peer = 0; step.peer < n; ++step.peer) {
    if (step.peer != right.peer) add(mutants, Change::peer, program, i, step);
  }
  for (const int offset : {-1, 1}) {
    step = right;
    step.chunk += static_cast<std::uint32_t>(offset);
    add(mutants, Change::chunk, program, i, step);
    step = right;
    step.count += static_cast<std::uint32_t>(offset);
    add(mutants, Change::count, program, i, step);
    step = right;
    step.scratch = static_cast<std::uint16_t>(step.scratch + offset);
    add(mutants, Change::scratch, program, i, step);
  }
  for (const Op op : {Op::send, Op::recv, Op::recv_reduce, Op::copy}) {
    if (op == right.op) continue;
    step = right;
    step.op = op;
    add(mutants, Change::op, program, i, step);
    // Also as a well-formed step of that op.
    step.flags = 0;
    if (op == Op::copy) step.peer = -1;
    if (op == Op::recv_reduce) step.flags = kFromInput;
    add(mutants, Change::op, program, i, step);
  }
  for (const std::uint8_t flag :
       {kIncomingFirst, kFinal, kFromInput, kFuseNext, kTransient, kMore, kInScratch}) {
    step = right;
    step.flags ^= flag;
    add(mutants, Change::flag, program, i, step);
    mutants.back().flag = flag;
  }
}

std::vector<Mutant> mutants_of(const Program& program, std::size_t i, Rank n) {
  std::vector<Mutant> mutants;
  change_fields(mutants, program, i, n);
  const auto at = static_cast<std::ptrdiff_t>(i);
  mutants.push_back({Change::drop, program, i});
  mutants.back().program.steps.erase(mutants.back().program.steps.begin() + at);
  mutants.push_back({Change::doubled, program, i});
  mutants.back().program.steps.insert(mutants.back().program.steps.begin() + at, program.steps[i]);
  if (i + 1 < program.steps.size()) {
    mutants.push_back({Change::swap, program, i});
    std::swap(mutants.back().program.steps[i], mutants.back().program.steps[i + 1]);
  }
  return mutants;
}

bool is_receive(const Step& step) {
  return step.op == Op::recv || step.op == Op::recv_reduce;
}

// One chunk's place in a rank's memory.
struct Cell {
  enum Space : std::uint8_t { input, output, scratch };
  Space space;
  std::uint32_t position;

  auto operator<=>(const Cell&) const = default;
};

Cell input_cell(const Shape& shape, std::uint32_t chunk, bool in_place) {
  if (in_place) return {Cell::output, in_place_twin(shape, chunk)};
  return {Cell::input, chunk};
}

// What a step reads and what it writes, whether in place or not.
struct Touched {
  std::set<Cell> read;
  std::set<Cell> written;
};

Touched touched(const Step& step, const Shape& shape, bool in_place) {
  Touched result;
  for (std::uint32_t i = 0; i < step.count; ++i) {
    const std::uint32_t chunk = step.chunk + i;
    const bool in_scratch = (step.flags & kInScratch) != 0;
    const Cell named =
        in_scratch ? Cell{Cell::scratch, step.scratch + i} : Cell{Cell::output, chunk};
    const Cell source = (step.flags & kFromInput) != 0 || step.op == Op::copy
                            ? input_cell(shape, chunk, in_place)
                            : named;
    if (step.op == Op::copy && source == named) continue;
    if (step.op != Op::recv) result.read.insert(source);
    if (step.op != Op::send) result.written.insert(named);
  }
  return result;
}

bool meet(const std::set<Cell>& a, const std::set<Cell>& b) {
  return std::any_of(a.begin(), a.end(), [&](const Cell& cell) { return b.count(cell) != 0; });
}

// Two neighbours may change places when each is a message of its own, neither writes what the other
// touches, and they do not use one channel. That waiting for one before the other cannot deadlock
// is what the verifier's run with one credit shows.
bool independent(const Program& program, std::size_t i, const Shape& shape, bool may_be_in_place) {
  const Step& a = program.steps[i];
  const Step& b = program.steps[i + 1];
  const bool continued = i > 0 && (program.steps[i - 1].flags & kMore) != 0;
  if (continued || ((a.flags | b.flags) & kMore) != 0) return false;
  for (const bool in_place : {false, true}) {
    if (in_place && !may_be_in_place) continue;
    const Touched first = touched(a, shape, in_place);
    const Touched second = touched(b, shape, in_place);
    if (meet(first.written, second.read) || meet(first.written, second.written) ||
        meet(first.read, second.written)) {
      return false;
    }
  }
  const bool one_channel =
      a.op != Op::copy && b.op != Op::copy && a.peer == b.peer && is_receive(a) == is_receive(b);
  return !one_channel;
}

// Why a mutant that the verifier passes does the same as `right`; empty if there is no reason.
std::string_view equivalence(const Mutant& mutant, const Program& right, const Shape& shape,
                             bool may_be_in_place) {
  const Step& step = right.steps[mutant.step];
  if (mutant.change == Change::swap && independent(right, mutant.step, shape, may_be_in_place)) {
    return "swap of independent steps";
  }
  if (mutant.change == Change::doubled && step.op == Op::copy) return "copy done twice";
  if (mutant.flag == kTransient && (step.flags & kTransient) != 0) return "stored though unread";
  if (mutant.flag == kFuseNext && (step.flags & kFuseNext) != 0) return "pair not fused";
  return {};
}

class Score {
 public:
  void test_plan(const collectives::Algorithm& algorithm, const Shape& shape) {
    plan_ = whole_plan(algorithm.build, shape);
    const Result<Verdict> right = verify(shape, plan_, {.in_place = algorithm.in_place});
    ASSERT_TRUE(right.ok()) << right.status().message();
    for (Program& program : plan_) {
      const Program original = program;
      for (std::size_t i = 0; i < original.steps.size(); ++i) {
        for (const Mutant& mutant : mutants_of(original, i, shape.ranks)) {
          program = mutant.program;
          SCOPED_TRACE(describe(algorithm, shape) + "\nright:\n" + text(original) + "mutant:\n" +
                       text(mutant.program));
          judge(algorithm, shape, mutant, original, right->order);
        }
      }
      program = original;
    }
  }

  void add(const Score& other) {
    for (const auto& [outcome, count] : other.counts_) counts_[outcome] += count;
  }

  // The share of the mutants found out among those that are not the same plan, and all outcomes.
  void print(const std::string& title) const {
    const int found_out = count(kKilled) + count(kToldApart);
    const int different = found_out + survivors();
    std::cout << std::setw(38) << std::left << title << 100.0 * found_out / different << " % of "
              << different << ':';
    for (const auto& [outcome, count] : counts_) std::cout << "  " << outcome << ' ' << count;
    std::cout << '\n';
  }

  int survivors() const { return count(kSurvived); }

 private:
  static constexpr const char* kKilled = "killed";
  // A right plan, but another: its ranks agree on bits that the verdict tells from the original's.
  static constexpr const char* kToldApart = "told apart by order";
  static constexpr const char* kSurvived = "SURVIVED";

  int count(const std::string& outcome) const {
    const auto entry = counts_.find(outcome);
    return entry == counts_.end() ? 0 : entry->second;
  }

  void judge(const collectives::Algorithm& algorithm, const Shape& shape, const Mutant& mutant,
             const Program& original, std::uint64_t right_order) {
    const Result<Verdict> verdict = verify(
        shape, plan_, {.seed = 1, .random_interleavings = 0, .in_place = algorithm.in_place});
    if (!verdict.ok()) {
      ++counts_[kKilled];
    } else if (verdict->order != right_order) {
      ++counts_[kToldApart];
    } else {
      const std::string_view reason = equivalence(mutant, original, shape, algorithm.in_place);
      EXPECT_FALSE(reason.empty()) << "the verifier passes this mutant";
      ++counts_[reason.empty() ? kSurvived : "equal: " + std::string(reason)];
    }
  }

  std::vector<Program> plan_;
  std::map<std::string, int> counts_;
};

// The larger counts add little but time.
#ifdef TUTTI_SANITIZE
constexpr std::array<Rank, 3> kRanks = {2, 3, 4};
#else
constexpr std::array<Rank, 7> kRanks = {2, 3, 4, 5, 6, 7, 8};
#endif

TEST(Mutation, EveryMutantIsKilledOrTheSamePlan) {
  Score total;
  for (const collectives::Algorithm& algorithm : collectives::algorithms()) {
    Score score;
    for (const Rank ranks : kRanks) {
      for (const Rank root : {0, 1}) {
        if (root > 0 && !has_root(algorithm.kind)) continue;
        score.test_plan(algorithm, {algorithm.kind, ranks, root});
      }
    }
    score.print(std::string(name(algorithm.kind)) + " " + std::string(algorithm.name));
    total.add(score);
    ASSERT_EQ(score.survivors(), 0);
  }
  total.print("in total");
}

}  // namespace
}  // namespace tutti::plan
