// Proves a plan right: all ranks run in one process over simulated channels. Pure; thread-safe.
//
// Every rank's every chunk starts as a random 64-bit number, and combining adds, so that a lost,
// doubled or misplaced contribution shows in the result. Beside the number travels a hash of the
// expression that made it, which neither commutes nor associates: equal hashes mean that the ranks
// combined the same values in the same order and so hold the same bits, whatever the type and the
// operator. A value knows whether its reduction is final, and whether it is defined at all.
//
// A channel is FIFO and holds a few messages (credits). Over such channels deadlock and results
// cannot depend on the interleaving (Kahn 1974); several are run all the same, because that
// argument is about plans and not about this program.
#pragma once

#include <cstdint>
#include <span>

#include "plan/program.h"
#include "tutti/status.h"

namespace tutti::plan {

struct VerifyOptions {
  std::uint64_t seed = 1;        // of the values and the interleavings
  int random_interleavings = 2;  // for each number of credits, in place and not
  bool in_place = true;          // false: the plan is not meant for input and output in one place
};

// What a right plan computes.
struct Verdict {
  // Hash of the expressions of all results, operand order included: two plans with equal `order`
  // give the same bits.
  std::uint64_t order = 0;
  // The same with the operands of each combination sorted: what is left of `order` when the
  // operator commutes.
  std::uint64_t grouping = 0;
};

// Runs the plan with 1, 2 and 8 credits, in place and not, first one rank as far as it goes, then
// others. An error (Code::internal) names the rank, the step's index and the step: malformed steps,
// sizes that do not match, undefined values read, values reduced after they were final, deadlock,
// messages left over, wrong or unfinished results, results that differ between ranks.
// programs[r] is rank r's, after its passes.
Result<Verdict> verify(const Shape& shape, std::span<const Program> programs,
                       const VerifyOptions& options = {});

// Success if senders need not copy: no rank changes data that it has sent before the receiver has
// used it, even if each receiver is as late as the plan lets it be. The error names the steps. A
// property that some right plans have. In place is the harder case. REQUIRES: verify() succeeds.
Status verify_without_copies(const Shape& shape, std::span<const Program> programs, bool in_place,
                             std::uint64_t seed = 1);

}  // namespace tutti::plan
