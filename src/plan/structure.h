// What can be checked of a plan without running it. Pure.
#pragma once

#include <span>

#include "plan/program.h"
#include "tutti/status.h"

namespace tutti::plan {

// Fields in range, flags only where they mean something, fused steps in pairs, the same tiles on
// every rank. The error names the rank, the step's index and the step.
Status check_structure(const Shape& shape, std::span<const Program> programs);

}  // namespace tutti::plan
