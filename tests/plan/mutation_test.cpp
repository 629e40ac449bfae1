// The verifier is tested by mutation: one step of a right plan is changed in one way, and the
// verifier must object. A mutant that it passes must be shown to be the same plan in effect, by a
// rule below that looks at the steps alone.
#include <gtest/gtest.h>

#include <array>
#include <iomanip>
#include <iostream>
#include <map>

#include "plan/plans.h"
#include "plan/verify.h"

namespace tutti::plan {
namespace {

enum class Change { peer, chunk, count, op, drop, doubled, swap, flag };

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
  for (const std::uint8_t flag : {kIncomingFirst, kFinal, kFromInput, kFuseNext, kTransient}) {
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

// A copy does not touch the input, and in place it does nothing at all.
bool sends_what_is_copied(const Step& a, const Step& b) {
  return a.op == Op::send && (a.flags & kFromInput) != 0 && b.op == Op::copy;
}

// Two neighbours may change places when neither writes chunks that the other touches, input and
// output taken as one, and they do not use one channel. That waiting for one before the other
// cannot deadlock is what the verifier's run with one credit shows.
bool independent(const Step& a, const Step& b) {
  if (sends_what_is_copied(a, b) || sends_what_is_copied(b, a)) return true;
  const bool overlap = a.chunk < b.chunk + b.count && b.chunk < a.chunk + a.count;
  if (overlap && (a.op != Op::send || b.op != Op::send)) return false;
  const bool one_channel =
      a.op != Op::copy && b.op != Op::copy && a.peer == b.peer && is_receive(a) == is_receive(b);
  return !one_channel;
}

// Why a mutant that the verifier passes does the same as `right`; empty if there is no reason.
std::string_view equivalence(const Mutant& mutant, const Program& right) {
  const Step& step = right.steps[mutant.step];
  if (mutant.change == Change::swap && independent(step, right.steps[mutant.step + 1])) {
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
    const Result<Verdict> right = verify(shape, plan_);
    ASSERT_TRUE(right.ok()) << right.status().message();
    for (Program& program : plan_) {
      const Program original = program;
      for (std::size_t i = 0; i < original.steps.size(); ++i) {
        for (const Mutant& mutant : mutants_of(original, i, shape.ranks)) {
          program = mutant.program;
          SCOPED_TRACE(describe(algorithm, shape) + "\nright:\n" + text(original) + "mutant:\n" +
                       text(mutant.program));
          judge(shape, mutant, original, right->order);
        }
      }
      program = original;
    }
  }

  void print(const std::string& title) const {
    std::cout << std::setw(32) << std::left << title;
    for (const auto& [outcome, count] : counts_) std::cout << "  " << outcome << ' ' << count;
    std::cout << '\n';
  }

  int survivors() const {
    const auto entry = counts_.find("SURVIVED");
    return entry == counts_.end() ? 0 : entry->second;
  }

 private:
  void judge(const Shape& shape, const Mutant& mutant, const Program& original,
             std::uint64_t right_order) {
    const Result<Verdict> verdict = verify(shape, plan_, {.seed = 1, .random_interleavings = 0});
    if (!verdict.ok()) {
      ++counts_["killed"];
    } else if (verdict->order != right_order) {
      // A right plan, but another: its ranks agree on bits that the verdict tells from the
      // original's.
      ++counts_["told apart by order"];
    } else {
      const std::string_view reason = equivalence(mutant, original);
      EXPECT_FALSE(reason.empty()) << "the verifier passes this mutant";
      ++counts_[reason.empty() ? "SURVIVED" : "equal: " + std::string(reason)];
    }
  }

  std::vector<Program> plan_;
  std::map<std::string, int> counts_;
};

// The larger counts add little but time.
#ifdef TUTTI_SANITIZE
constexpr std::array<Rank, 3> kRanks = {2, 3, 4};
#else
constexpr std::array<Rank, 6> kRanks = {2, 3, 4, 5, 6, 8};
#endif

TEST(Mutation, EveryMutantIsKilledOrTheSamePlan) {
  for (const collectives::Algorithm& algorithm : collectives::algorithms()) {
    Score score;
    for (const Rank ranks : kRanks) {
      for (const Rank root : {0, 1}) {
        if (root > 0 && algorithm.kind == Kind::all_reduce) continue;
        score.test_plan(algorithm, {algorithm.kind, ranks, root});
      }
    }
    score.print(std::string(name(algorithm.kind)) + " " + std::string(algorithm.name));
    ASSERT_EQ(score.survivors(), 0);
  }
}

}  // namespace
}  // namespace tutti::plan
