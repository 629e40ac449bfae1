#include "plan/chunk_index.h"

#include <bit>
#include <cassert>

namespace tutti::plan {

ChunkIndex::ChunkIndex(const Program& program, const Held& more) {
  std::size_t uses = 0;
  for (const Step& step : program.steps) uses += step.count;
  uses_.reserve(uses + more.count);
  const bool few = program.chunks <= kFew;
  if (few) {
    size_ = program.chunks;
  } else {
    table_.assign(std::bit_ceil(2 * (uses + more.count) + 2), {kFree, 0});
  }
  for (const Step& step : program.steps) {
    for (std::uint32_t chunk = step.chunk; chunk < step.chunk + step.count; ++chunk) {
      uses_.push_back(few ? chunk : add(chunk));
    }
  }
  if (few) return;
  for (std::uint32_t i = 0; i < more.count; ++i) add(more.first + i * more.stride);
}

std::size_t ChunkIndex::find(std::uint32_t chunk) const {
  const std::size_t mask = table_.size() - 1;
  // Fibonacci hashing (Knuth, TAOCP 3, 6.4) with linear probing.
  std::size_t at = static_cast<std::size_t>(chunk * 0x9e3779b97f4a7c15ULL >> 32) & mask;
  while (table_[at].chunk != kFree && table_[at].chunk != chunk) at = (at + 1) & mask;
  return at;
}

std::uint32_t ChunkIndex::add(std::uint32_t chunk) {
  Entry& entry = table_[find(chunk)];
  if (entry.chunk == kFree) entry = {chunk, size_++};
  return entry.index;
}

std::uint32_t ChunkIndex::operator()(std::uint32_t chunk) const {
  if (table_.empty()) return chunk;
  const Entry& entry = table_[find(chunk)];
  assert(entry.chunk == chunk);
  return entry.index;
}

}  // namespace tutti::plan
