// The text form of plans, for people, golden files and error messages. Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "plan/program.h"

namespace tutti::plan {

std::string_view name(Op op);  // "recv_reduce"
using tutti::name;             // of a Kind: "all_reduce"

// "recv_reduce <- 3  chunks 4..5  incoming_first final"
std::string text(const Step& step);

// One numbered line per step.
std::string text(const Program& program);

// A whole plan: a line with its shape, every rank's program, and its hash. programs[r] is rank r's.
std::string text(std::string_view algorithm, const Shape& shape, std::span<const Program> programs);

}  // namespace tutti::plan
