// A pass by itself, with an index of its own.
#pragma once

#include "plan/chunk_index.h"
#include "plan/layout.h"
#include "plan/passes.h"

namespace tutti::plan {

inline void resolve_buffers(Program& program, Rank rank, const Shape& shape) {
  ChunkIndex index(program, held_in_output(shape, rank, program.chunks));
  resolve_buffers(program, rank, shape, index);
}

inline void fuse(Program& program, Rank rank, const Shape& shape) {
  fuse(program, rank, shape, ChunkIndex(program, held_in_output(shape, rank, program.chunks)));
}

}  // namespace tutti::plan
