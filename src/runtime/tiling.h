// How an operation is cut into tiles, and where its chunks lie: from a plan's names to addresses.
//
// Set up once per operation, then only read. Tiles t, t + lanes, ... run on lane t mod lanes.
//   A message without blocks (all_reduce, ...) is partitioned into equal tiles, and a tile into the
//   program's chunks.
//   Of every block, tile t is the piece [t * piece, (t + 1) * piece), which may be empty.
// No allocation once the largest number of ranks was seen. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plan/cost.h"
#include "plan/layout.h"
#include "plan/partition.h"
#include "plan/program.h"
#include "runtime/operation.h"

namespace tutti::runtime {

class Tiling {
 public:
  // How an operation may be cut.
  struct Grain {
    std::size_t message_bytes_max = 0;  // the largest message that a port takes
    std::int64_t tile_bytes_min = plan::LinkModel().tile_bytes_min;
    int lanes = 1;
  };
  void begin(const Operation& operation, const plan::Program& program, int rank, int size,
             const Grain& grain);

  std::int64_t tiles() const { return tiles_; }
  bool blocks() const { return blocks_; }
  // Elements of a range of chunks in a tile. REQUIRES: count == 1 where there are blocks.
  std::int64_t elements(std::int64_t tile, std::uint32_t chunk, std::uint32_t count) const;
  // Byte offset of a chunk's part of the tile in the caller's buffer, and in a lane's copy of the
  // input's part of the tile.
  std::int64_t input_offset(std::int64_t tile, std::uint32_t chunk) const;
  std::int64_t output_offset(std::int64_t tile, std::uint32_t chunk) const;
  std::int64_t input_copy_offset(std::int64_t tile, std::uint32_t chunk) const;

  // What a lane needs of scratch memory: for chunks under way, `stride` bytes each, and for a copy
  // of the input's part of a tile.
  std::int64_t scratch_stride() const { return scratch_stride_; }
  std::int64_t input_copy_bytes() const;
  const plan::Held& input() const { return input_.held; }

 private:
  struct Buffer {
    plan::Held held = {};
    bool one_block = false;  // the buffer is a single block
    std::span<const std::int64_t> counts = {};
    std::span<const std::int64_t> offsets = {};
  };

  // In elements.
  std::int64_t block_count(const Buffer& buffer, std::uint32_t chunk) const;
  std::int64_t offset(const Buffer& buffer, std::int64_t tile, std::uint32_t chunk) const;
  plan::Range tile_range(std::int64_t tile) const;
  void cut_blocks(const Operation& operation, std::int64_t piece_max, const Grain& grain);
  static std::int64_t wanted_tiles(std::int64_t bytes, const Grain& grain);
  std::int64_t largest_block(const Operation& operation) const;
  static std::span<const std::int64_t> offsets_of(const Blocks& blocks,
                                                  std::vector<std::int64_t>& made);

  bool blocks_ = false;
  bool by_place_ = false;  // counts are by place in the buffer (all_to_all), not by chunk
  std::int64_t count_ = 0;
  std::int64_t element_bytes_ = 1;
  std::int64_t alignment_ = 1;  // of partitions, in elements: a cache line
  std::uint32_t chunks_ = 1;
  int size_ = 1;
  std::int64_t tiles_ = 1;
  std::int64_t piece_ = 0;  // elements of a block in one tile
  std::int64_t scratch_stride_ = 0;
  Buffer input_;
  Buffer output_;
  std::vector<std::int64_t> send_offsets_;  // for callers that give none
  std::vector<std::int64_t> recv_offsets_;
};

}  // namespace tutti::runtime
