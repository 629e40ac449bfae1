// Passes over a built program, before it is cached. Pure.
#pragma once

#include <vector>

#include "plan/program.h"

namespace tutti::plan {

// Marks every step whose local operand no earlier step has written with kFromInput, and appends
// copy steps for chunks that must end up in the output but were never written (a broadcast's root).
// A range of chunks is uniform: all written or none (the builders keep to that; asserted).
// `holds_input` is false where this rank's input has no meaning (a broadcast's other ranks).
void resolve_buffers(Program& program, bool holds_input);

// Marks recv_reduce + send and recv + send of the same chunks with kFuseNext, and kTransient where
// the stored value is never read again.
void fuse(Program& program);

// Which steps are sends whose chunks no later step writes: their data may be read out of the buffer
// until the program is over, instead of being copied when it is sent. By step.
std::vector<bool> stable_sends(const Program& program);

// The builder's program for `rank` with all passes applied: what the executor runs.
Program build(Builder builder, Rank rank, const Shape& shape);

}  // namespace tutti::plan
