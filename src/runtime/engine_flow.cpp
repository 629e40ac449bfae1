#include "runtime/engine_flow.h"

#include <algorithm>

namespace tutti::runtime {

std::int64_t Flow::lay_out(std::vector<Block>& to, const Operation& operation, const Blocks& blocks,
                           int ranks) {
  const std::int64_t element = operation.element_bytes();
  to.resize(static_cast<std::size_t>(ranks));
  std::int64_t next = 0;
  std::int64_t largest = 0;
  for (std::size_t rank = 0; rank < to.size(); ++rank) {
    const std::int64_t count = blocks.counts.empty() ? operation.count : blocks.counts[rank];
    const std::int64_t offset = blocks.offsets.empty() ? next : blocks.offsets[rank];
    to[rank] = {offset * element, count * element};
    largest = std::max(largest, count * element);
    next = offset + count;
  }
  return largest;
}

Roles::Roles(const Operation& operation, int rank) {
  const Collective kind = operation.collective;
  const bool from_root = kind == Collective::broadcast || kind == Collective::scatter;
  const bool to_root = kind == Collective::reduce || kind == Collective::gather;
  const bool root = rank == operation.root;
  sends = from_root ? root : !to_root || !root;
  receives = to_root ? root : !from_root || !root;
  sender = from_root ? operation.root : -1;
  receiver = to_root ? operation.root : -1;
  one_block = sends_one_block(kind);
  fills_blocks = kind == Collective::all_gather || kind == Collective::gather ||
                 kind == Collective::all_to_all;
}

void Flow::describe(const Operation& operation, int rank, int ranks) {
  const Collective kind = operation.collective;
  const auto self = static_cast<std::size_t>(rank);
  const bool gathers = kind == Collective::all_gather || kind == Collective::gather;
  const bool all_to_all = kind == Collective::all_to_all;
  static_cast<Roles&>(*this) = Roles(operation, rank);
  told = operation.uneven && !one_block;

  const Block whole{0, operation.bytes()};
  if (gathers) {
    largest = lay_out(in, operation, operation.recv_blocks, ranks);
    out.assign(1, {0, in[self].bytes});
  } else if (one_block) {
    largest = whole.bytes;
    out.assign(1, whole);
    in.assign(static_cast<std::size_t>(ranks), whole);
  } else {
    largest = lay_out(out, operation, operation.send_blocks, ranks);
    if (all_to_all) {
      lay_out(in, operation, operation.recv_blocks, ranks);
    } else {
      in.assign(static_cast<std::size_t>(ranks), {0, out[self].bytes});
    }
  }
  own_largest = gathers ? out[0].bytes : largest;
}

std::int64_t Flow::sent_bytes() const {
  std::int64_t end = 0;
  for (const Block& block : out) end = std::max(end, block.offset + block.bytes);
  return end;
}

}  // namespace tutti::runtime
