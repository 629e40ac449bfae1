#include "runtime/uneven_all_to_all.h"

#include <algorithm>

#include "base/try.h"
#include "runtime/engine_copy.h"

namespace tutti::runtime {

Status UnevenAllToAll::run(const Operation& operation, const Call& call) {
  list_transfers(operation);
  // As all it receives: longer than the cache, nothing of it would be found there.
  const device::Store store =
      operation.in_place ? device::Store::cached : store_for(received_bytes_);
  TUTTI_TRY(pairs_.run(transfers_, call, operation.in_place, store));
  // Last, so that nobody waits for it.
  if (own_send_ != own_recv_) {
    crew_.expect(own_bytes_);
    copy_block(crew_, own_recv_, own_send_, own_bytes_, store);
  }
  return {};
}

void UnevenAllToAll::list_transfers(const Operation& operation) {
  const std::int64_t element_bytes = operation.element_bytes();
  transfers_.clear();
  received_bytes_ = 0;
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
      std::byte* const data = count > 0 ? at(buffer, offset * element_bytes) : nullptr;
      // Blocks that overlap may have more than an address space together.
      if (!sends) received_bytes_ += std::min(count * element_bytes, kEngineStreamingBytes);
      if (peer == rank_) {
        (sends ? own_send_ : own_recv_) = data;
        own_bytes_ = count * element_bytes;
      } else if (count > 0) {
        transfers_.push_back({sends, data, count, operation.type, peer});
      }
    }
  }
}

}  // namespace tutti::runtime
