#include "runtime/tiling.h"

#include <algorithm>
#include <numeric>

namespace tutti::runtime {
namespace {

constexpr std::int64_t kTileAlignmentBytes = 64;

std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

void Tiling::begin(const Operation& operation, const plan::Program& program, int rank, int size,
                   const Grain& grain) {
  const plan::Shape shape = shape_of(operation, size);
  blocks_ = plan::has_blocks(shape.kind);
  by_place_ = shape.kind == plan::Kind::all_to_all;
  count_ = operation.count;
  element_bytes_ = operation.element_bytes();
  alignment_ = kTileAlignmentBytes / element_bytes_;
  chunks_ = program.chunks;
  size_ = size;
  input_ = {.held = plan::held_in_input(shape, rank, chunks_)};
  output_ = {.held = plan::held_in_output(shape, rank, chunks_)};

  const auto message_elements = static_cast<std::int64_t>(grain.message_bytes_max) / element_bytes_;
  // An alignment of messages that hold very many chunks would leave them empty.
  std::int64_t piece_max = message_elements / program.message_chunks();
  if (piece_max >= alignment_) piece_max = piece_max / alignment_ * alignment_;
  if (blocks_) {
    cut_blocks(operation, std::max<std::int64_t>(piece_max, 1), grain);
    scratch_stride_ = round_up(piece_ * element_bytes_, kTileAlignmentBytes);
    return;
  }
  const std::int64_t tile_elements = piece_max * chunks_;
  const std::int64_t needed = (count_ + tile_elements - 1) / tile_elements;
  tiles_ = std::max({needed, wanted_tiles(count_ * element_bytes_, grain), std::int64_t{1}});
  // The first chunk of the first tile is the largest.
  scratch_stride_ = round_up(elements(0, 0, 1) * element_bytes_, kTileAlignmentBytes);
}

// Two for each lane, so that one is under way while the other is reduced.
std::int64_t Tiling::wanted_tiles(std::int64_t bytes, const Grain& grain) {
  return std::min<std::int64_t>(2 * grain.lanes, bytes / grain.tile_bytes_min);
}

// Ranks agree on the pieces because they agree on the largest block; in an uneven all-to-all, where
// they do not know it, pieces are as long as a message may be.
void Tiling::cut_blocks(const Operation& operation, std::int64_t piece_max, const Grain& grain) {
  input_.counts = operation.send_blocks.counts;
  output_.counts = operation.recv_blocks.counts;
  if (const auto shared = operation.shared_counts(); !shared.empty()) {
    input_.counts = shared;
    output_.counts = shared;
  }
  input_.one_block = input_.held.count == 1 && size_ > 1;
  output_.one_block = output_.held.count == 1 && size_ > 1;
  input_.offsets = operation.send_blocks.offsets;
  output_.offsets = operation.recv_blocks.offsets;
  if (operation.uneven) {
    if (!input_.one_block) input_.offsets = offsets_of(operation.send_blocks, send_offsets_);
    if (!output_.one_block) output_.offsets = offsets_of(operation.recv_blocks, recv_offsets_);
  }
  const std::int64_t largest = largest_block(operation);
  piece_ = piece_max;
  if (!(by_place_ && operation.uneven)) {
    const std::int64_t needed = (largest + piece_max - 1) / piece_max;
    const std::int64_t tiles =
        std::max({needed, wanted_tiles(largest * element_bytes_, grain), std::int64_t{1}});
    piece_ = (largest + tiles - 1) / tiles;
    if (piece_max >= alignment_) piece_ = round_up(piece_, alignment_);
    piece_ = std::max<std::int64_t>(piece_, 1);
  }
  tiles_ = std::max<std::int64_t>((largest + piece_ - 1) / piece_, 1);
}

std::int64_t Tiling::largest_block(const Operation& operation) const {
  if (!operation.uneven) return count_;
  std::int64_t largest = 0;
  for (const Buffer* buffer : {&input_, &output_}) {
    for (const std::int64_t count : buffer->counts) largest = std::max(largest, count);
  }
  return largest;
}

std::span<const std::int64_t> Tiling::offsets_of(const Blocks& blocks,
                                                 std::vector<std::int64_t>& made) {
  if (!blocks.offsets.empty()) return blocks.offsets;
  made.resize(blocks.counts.size());
  std::exclusive_scan(blocks.counts.begin(), blocks.counts.end(), made.begin(), std::int64_t{0});
  return made;
}

plan::Range Tiling::tile_range(std::int64_t tile) const {
  return plan::partition(count_, tiles_, alignment_, tile);
}

std::int64_t Tiling::block_count(const Buffer& buffer, std::uint32_t chunk) const {
  if (buffer.counts.empty()) return count_;
  return buffer.counts[by_place_ ? buffer.held.place(chunk) : chunk];
}

std::int64_t Tiling::elements(std::int64_t tile, std::uint32_t chunk, std::uint32_t count) const {
  if (!blocks_) {
    return plan::partition_range(tile_range(tile).count, chunks_, alignment_, chunk, count).count;
  }
  // A chunk of an uneven all-to-all is one of this rank's own; which buffer's, its name tells.
  const Buffer& buffer = !by_place_ || input_.held.contains(chunk) ? input_ : output_;
  return std::clamp<std::int64_t>(block_count(buffer, chunk) - tile * piece_, 0, piece_);
}

std::int64_t Tiling::offset(const Buffer& buffer, std::int64_t tile, std::uint32_t chunk) const {
  if (!blocks_) {
    const plan::Range range = tile_range(tile);
    return range.begin + plan::partition(range.count, chunks_, alignment_, chunk).begin;
  }
  const std::int64_t within = tile * piece_;
  if (buffer.one_block) return within;
  const std::uint32_t place = buffer.held.place(chunk);
  return within + (buffer.offsets.empty() ? place * count_ : buffer.offsets[place]);
}

std::int64_t Tiling::input_offset(std::int64_t tile, std::uint32_t chunk) const {
  return offset(input_, tile, chunk) * element_bytes_;
}

std::int64_t Tiling::output_offset(std::int64_t tile, std::uint32_t chunk) const {
  return offset(output_, tile, chunk) * element_bytes_;
}

std::int64_t Tiling::input_copy_offset(std::int64_t tile, std::uint32_t chunk) const {
  if (blocks_) return input_.held.place(chunk) * scratch_stride_;
  return (offset(input_, tile, chunk) - tile_range(tile).begin) * element_bytes_;
}

std::int64_t Tiling::input_copy_bytes() const {
  if (blocks_) return input_.held.count * scratch_stride_;
  return round_up(tile_range(0).count * element_bytes_, kTileAlignmentBytes);
}

}  // namespace tutti::runtime
