// Passes over a built program, before it is cached. Pure. `index` is of the program and its rank's
// output, and made once for all of them.
#pragma once

#include <vector>

#include "plan/chunk_index.h"
#include "plan/program.h"

namespace tutti::plan {

// Decides where every step finds and puts its chunks: in the input, the output, or scratch memory.
// A step whose chunks are not all in the same kind of place becomes several parts of one message.
// Appends copy steps for chunks that the output must have and that only the input holds. REQUIRES:
// the builder sends and combines only what the rank has.
void resolve_buffers(Program& program, Rank rank, const Shape& shape, ChunkIndex& index);

// Marks recv_reduce + send and recv + send of the same chunks with kFuseNext, and kTransient where
// the stored value is never read again.
void fuse(Program& program, Rank rank, const Shape& shape, const ChunkIndex& index);

// Which steps are sends whose chunks no later step writes, in place or not: their data may be read
// out of the caller's buffer until the program is over, instead of being copied when it is sent. By
// step.
std::vector<bool> stable_sends(const Program& program, const Shape& shape);

// The builder's program for `rank` with all passes applied: what the executor runs.
Program build(Builder builder, Rank rank, const Shape& shape);

}  // namespace tutti::plan
