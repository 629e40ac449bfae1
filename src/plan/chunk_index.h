// A dense numbering of the chunks that one program touches. A value; cold.
//
// An all-to-all has n * n chunks, of which one rank sees few: per-chunk state is kept by index.
// Where there are not many chunks in all, the index is the chunk itself.
//
// A use is one chunk of one step, in the order of the program. Passes go from use to use, so that
// each is looked up once for all of them: Bruck's all-to-all has n log2(n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan/layout.h"
#include "plan/program.h"

namespace tutti::plan {

class ChunkIndex {
 public:
  // Of the chunks that steps cover, and of `more`.
  ChunkIndex(const Program& program, const Held& more);

  // REQUIRES: `chunk` is one of those, or the program has few chunks.
  std::uint32_t operator()(std::uint32_t chunk) const;
  std::uint32_t size() const { return size_; }

  std::size_t uses() const { return uses_.size(); }
  std::uint32_t of_use(std::size_t use) const { return uses_[use]; }
  // A step with this chunk joined the end of the program. REQUIRES: as above.
  void add_use(std::uint32_t chunk) { uses_.push_back((*this)(chunk)); }

 private:
  static constexpr std::uint32_t kFew = 1U << 16;
  struct Entry {
    std::uint32_t chunk;
    std::uint32_t index;
  };
  static constexpr std::uint32_t kFree = ~std::uint32_t{0};

  // Where the entry of `chunk` is, or should go.
  std::size_t find(std::uint32_t chunk) const;
  std::uint32_t add(std::uint32_t chunk);

  std::uint32_t size_ = 0;
  std::vector<Entry> table_;  // open addressing, at most half full; empty: the identity
  std::vector<std::uint32_t> uses_;
};

}  // namespace tutti::plan
