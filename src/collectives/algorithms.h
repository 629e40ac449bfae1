// The table of algorithms, and the choice among them.
//
// Adding an algorithm = one file with one builder, one test, one row in algorithms.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "plan/cost.h"
#include "plan/program.h"
#include "tutti/status.h"

namespace tutti::collectives {

struct Algorithm {
  plan::Kind kind;
  std::string_view name;  // "ring"
  plan::Builder build;
  plan::CostTerms (*cost)(const plan::Shape& shape);  // closed form of what the plan costs
  // Is it right when input and output share memory? Otherwise the caller copies the input first.
  bool in_place = true;
  // Does a rank need no sizes but those of the blocks that it sends or receives as its own? Matters
  // where blocks have different sizes and no rank knows all of them: in an all-to-all.
  bool any_blocks = true;
};

// The table, all kinds; rows of one kind are in the order in which ties are broken.
std::span<const Algorithm> algorithms();

// nullptr when the table has no such row.
const Algorithm* find(plan::Kind kind, std::string_view name);

// The row with the least predicted time. Deterministic: every rank that passes the same arguments
// gets the same row. `bytes` is the size of the larger buffer of a rank, all blocks together.
// `any_blocks`: of the rows that may run with blocks of unknown sizes.
const Algorithm& select(const plan::Shape& shape, std::int64_t bytes, const plan::LinkModel& model,
                        bool any_blocks = false);

}  // namespace tutti::collectives
