#include "runtime/uneven_all_to_all.h"

#include "runtime/engine_copy.h"

namespace tutti::runtime {

Status UnevenAllToAll::run(const Operation& operation, const Call& call) {
  list_transfers(operation);
  return pairs_.run(transfers_, call, operation.in_place);
}

// And does the one with itself.
void UnevenAllToAll::list_transfers(const Operation& operation) {
  const std::int64_t element_bytes = operation.element_bytes();
  transfers_.clear();
  std::byte* own_send = nullptr;
  for (const bool sends : {true, false}) {
    const Blocks& blocks = sends ? operation.send_blocks : operation.recv_blocks;
    auto* const buffer =
        static_cast<std::byte*>(sends ? const_cast<void*>(operation.send) : operation.recv);
    std::int64_t next = 0;
    for (int peer = 0; peer < ranks_; ++peer) {
      const auto index = static_cast<std::size_t>(peer);
      const std::int64_t count = blocks.counts[index];
      const std::int64_t offset = blocks.offsets.empty() ? next : blocks.offsets[index];
      next = offset + count;
      if (count == 0) continue;
      std::byte* const data = at(buffer, offset * element_bytes);
      if (peer != rank_) {
        transfers_.push_back({sends, data, count, operation.type, peer});
      } else if (sends) {
        own_send = data;
      } else if (data != own_send) {
        const std::int64_t bytes = count * element_bytes;
        crew_.expect(bytes);
        copy_block(crew_, data, own_send, bytes, store_for(bytes));
      }
    }
  }
}

}  // namespace tutti::runtime
