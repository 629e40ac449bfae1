// The hash of a plan: how ranks agree, and logs show, that they run the same one. Pure functions.
//
// Stable: the same on every machine and in every build. It depends on every field of every step.
#pragma once

#include <cstdint>
#include <span>

#include "plan/program.h"

namespace tutti::plan {

std::uint64_t hash(const Program& program);

// Of a whole plan; programs[r] is rank r's.
std::uint64_t hash(std::span<const Program> programs);

}  // namespace tutti::plan
