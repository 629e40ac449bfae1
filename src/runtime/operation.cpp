#include "runtime/operation.h"

#include <limits>
#include <numeric>
#include <string_view>

#include "base/error.h"
#include "base/try.h"

namespace tutti::runtime {

namespace {

template <typename... Args>
Status invalid(const Operation& operation, fmt::format_string<Args...> text, Args&&... args) {
  return error(Code::invalid_argument, "{}{}: {}", name(operation.collective),
               operation.uneven ? "_v" : "", fmt::format(text, std::forward<Args>(args)...));
}

// One of the two buffers: how it is cut, and how far it reaches.
struct Extent {
  std::string_view name;
  const void* data = nullptr;
  std::int64_t elements = 0;  // from its start to the end of its last block
};

Status check_reduction(const Operation& operation) {
  const ReduceOp op = operation.reduction.op();
  if (static_cast<int>(op) >= kReduceOpCount) {
    return invalid(operation, "op {} is no ReduceOp; the values are 0 to {}", static_cast<int>(op),
                   kReduceOpCount - 1);
  }
  if (!supports(operation.type, op)) {
    return invalid(operation, "{} has no meaning for {}; bitwise operators are for integers",
                   name(op), name(operation.type));
  }
  const auto factor = operation.reduction.factor_kind();
  const bool floating = operation.type <= DataType::float8_e5m2;
  if (factor == Reduction::Factor::none || (factor == Reduction::Factor::floating) == floating) {
    return {};
  }
  return invalid(operation, "the factor of a premultiplied sum of {} must be {}",
                 name(operation.type), floating ? "a floating-point number" : "an integer");
}

// Elements up to the end of the last block; an error for counts or offsets that make no sense.
Result<std::int64_t> reach(const Operation& operation, const Blocks& blocks, int size) {
  constexpr auto kMostBytes = std::numeric_limits<std::ptrdiff_t>::max();
  std::int64_t end = 0;
  // Of equal blocks, one after the other, there are as many as ranks: they are not gone through.
  if (std::int64_t bytes = 0; blocks.counts.empty() && blocks.offsets.empty() &&
                              !__builtin_mul_overflow(operation.count, std::int64_t{size}, &end) &&
                              !__builtin_mul_overflow(end, operation.element_bytes(), &bytes)) {
    return end;
  }
  end = 0;
  const std::int64_t limit = kMostBytes / operation.element_bytes();
  std::int64_t next = 0;
  for (int r = 0; r < size; ++r) {
    const auto at = static_cast<std::size_t>(r);
    const std::int64_t count = blocks.counts.empty() ? operation.count : blocks.counts[at];
    const std::int64_t offset = blocks.offsets.empty() ? next : blocks.offsets[at];
    if (count < 0) return invalid(operation, "counts[{}] is {}; it must be 0 or more", r, count);
    if (offset < 0) return invalid(operation, "offsets[{}] is {}; it must be 0 or more", r, offset);
    if (count > limit || offset > limit - count) {
      return invalid(operation, "block {} ({} of {} at {}) is more than an address space holds", r,
                     count, name(operation.type), offset);
    }
    next = offset + count;
    if (count > 0 && next > end) end = next;
  }
  return end;
}

// Of this rank's own block in a buffer of blocks.
std::int64_t own_offset(const Operation& operation, const Blocks& blocks, int rank) {
  const auto self = static_cast<std::size_t>(rank);
  if (!blocks.offsets.empty()) return blocks.offsets[self];
  if (blocks.counts.empty()) return operation.count * rank;
  return std::accumulate(blocks.counts.begin(), blocks.counts.begin() + rank, std::int64_t{0});
}

std::int64_t own_count(const Operation& operation, int rank) {
  const auto counts = operation.shared_counts();
  return counts.empty() ? operation.count : counts[static_cast<std::size_t>(rank)];
}

bool needs_send(const Operation& operation, int rank) {
  const bool root = rank == operation.root;
  return (operation.collective != Collective::broadcast &&
          operation.collective != Collective::scatter) ||
         root;
}

bool needs_recv(const Operation& operation, int rank) {
  const bool root = rank == operation.root;
  return (operation.collective != Collective::reduce &&
          operation.collective != Collective::gather) ||
         root;
}

// How far both buffers reach. REQUIRES: count and root are checked.
Status measure(const Operation& operation, int rank, int size, Extent& send, Extent& recv) {
  std::int64_t sent = operation.count;
  std::int64_t received = operation.count;
  const Collective kind = operation.collective;
  const bool gathers = kind == Collective::all_gather || kind == Collective::gather;
  const bool scatters = kind == Collective::reduce_scatter || kind == Collective::scatter;
  if (scatters || kind == Collective::all_to_all) {
    TUTTI_TRY_ASSIGN(sent, reach(operation, operation.send_blocks, size));
  }
  if (gathers || kind == Collective::all_to_all) {
    TUTTI_TRY_ASSIGN(received, reach(operation, operation.recv_blocks, size));
  }
  if (gathers) sent = own_count(operation, rank);
  if (scatters) received = own_count(operation, rank);
  send = {"send", operation.send, sent};
  recv = {"recv", operation.recv, received};
  return {};
}

// Where the input lies when it is in place.
bool is_in_place(const Operation& operation, int rank) {
  if (operation.send == nullptr || operation.recv == nullptr) return false;
  const auto* send = static_cast<const std::byte*>(operation.send);
  const auto* recv = static_cast<const std::byte*>(operation.recv);
  switch (operation.collective) {
    case Collective::all_gather:
    case Collective::gather:
      recv += own_offset(operation, operation.recv_blocks, rank) * operation.element_bytes();
      break;
    case Collective::reduce_scatter:
    case Collective::scatter:
      send += own_offset(operation, operation.send_blocks, rank) * operation.element_bytes();
      break;
    default:
      break;
  }
  return send == recv;
}

// In place, an all-to-all swaps blocks, which must be of the same size and in the same places.
Status check_swapped_blocks(const Operation& operation, int size) {
  if (operation.collective != Collective::all_to_all || !operation.uneven) return {};
  std::int64_t next = 0;  // equal blocks so far end in the same place
  for (std::size_t r = 0; r < static_cast<std::size_t>(size); ++r) {
    const Blocks& send = operation.send_blocks;
    const Blocks& recv = operation.recv_blocks;
    const std::int64_t sent = send.offsets.empty() ? next : send.offsets[r];
    const std::int64_t received = recv.offsets.empty() ? next : recv.offsets[r];
    if (send.counts[r] != recv.counts[r] || sent != received) {
      return invalid(operation,
                     "send == recv, but block {} has {} elements at {} to send and {} at {} to "
                     "receive; in place they must be equal",
                     r, send.counts[r], sent, recv.counts[r], received);
    }
    next = sent + send.counts[r];
  }
  return {};
}

Status check_buffers(Operation& operation, int rank, const Extent& send, const Extent& recv,
                     int size) {
  for (const Extent* buffer : {&send, &recv}) {
    if (buffer->data == nullptr && buffer->elements > 0) {
      return invalid(operation, "{} is null although it has {} elements", buffer->name,
                     buffer->elements);
    }
  }
  operation.in_place = is_in_place(operation, rank);
  if (operation.in_place) return check_swapped_blocks(operation, size);
  const auto from = reinterpret_cast<std::uintptr_t>(send.data);
  const auto to = reinterpret_cast<std::uintptr_t>(recv.data);
  const auto sent = static_cast<std::uintptr_t>(send.elements * operation.element_bytes());
  const auto received = static_cast<std::uintptr_t>(recv.elements * operation.element_bytes());
  if (sent == 0 || received == 0 || from >= to + received || to >= from + sent) return {};
  return invalid(operation,
                 "send ({}, {} bytes) and recv ({}, {} bytes) overlap; place the input as the call "
                 "says for in place, or use separate buffers",
                 send.data, sent, recv.data, received);
}

Status check_own_counts(const Operation& operation, int rank) {
  if (!operation.uneven || operation.collective != Collective::all_to_all) return {};
  const auto self = static_cast<std::size_t>(rank);
  const std::int64_t sent = operation.send_blocks.counts[self];
  const std::int64_t received = operation.recv_blocks.counts[self];
  if (sent == received) return {};
  return invalid(operation,
                 "rank {} sends {} elements to itself and receives {}; the two must be equal", rank,
                 sent, received);
}

// One count per rank where there are any, and as many offsets or none.
Status check_lists(const Operation& operation, int size) {
  if (!operation.uneven) return {};
  const auto ranks = static_cast<std::size_t>(size);
  const Collective kind = operation.collective;
  const bool scatters = kind == Collective::reduce_scatter || kind == Collective::scatter;
  const bool gathers = kind == Collective::all_gather || kind == Collective::gather;
  for (const bool sends : {true, false}) {
    if (sends ? gathers : scatters) continue;
    const Blocks& blocks = sends ? operation.send_blocks : operation.recv_blocks;
    const std::string_view buffer = sends ? "send" : "recv";
    if (blocks.counts.size() != ranks) {
      return invalid(operation, "{}_blocks.counts has {} entries; it must have one per rank, {}",
                     buffer, blocks.counts.size(), size);
    }
    if (!blocks.offsets.empty() && blocks.offsets.size() != ranks) {
      return invalid(operation,
                     "{}_blocks.offsets has {} entries; it must have one per rank, {}, or none",
                     buffer, blocks.offsets.size(), size);
    }
  }
  return {};
}

}  // namespace

Status prepare(Operation& operation, int rank, int size) {
  if (static_cast<int>(operation.type) >= kDataTypeCount) {
    return invalid(operation, "type {} is no DataType; the values are 0 to {}",
                   static_cast<int>(operation.type), kDataTypeCount - 1);
  }
  TUTTI_TRY(check_reduction(operation));
  if (operation.count < 0) {
    return invalid(operation, "count is {}; it must be 0 or more", operation.count);
  }
  constexpr auto kMostBytes = std::numeric_limits<std::ptrdiff_t>::max();
  // A division takes longer than all other checks: what fits at 8 bytes each needs none.
  if (operation.count > kMostBytes / 8 &&
      operation.count > kMostBytes / operation.element_bytes()) {
    return invalid(operation, "count {} of {} is more bytes than an address space holds",
                   operation.count, name(operation.type));
  }
  if (plan::has_root(operation.collective) && (operation.root < 0 || operation.root >= size)) {
    return invalid(operation, "root is {}; the communicator has ranks 0 to {}", operation.root,
                   size - 1);
  }
  TUTTI_TRY(check_lists(operation, size));
  if (!needs_recv(operation, rank)) operation.recv = nullptr;
  if (!needs_send(operation, rank)) {
    // The others of a broadcast have what they receive, and pass it on from there.
    operation.send = operation.collective == Collective::broadcast ? operation.recv : nullptr;
  }
  Extent send;
  Extent recv;
  TUTTI_TRY(measure(operation, rank, size, send, recv));
  TUTTI_TRY(check_own_counts(operation, rank));
  if (!needs_send(operation, rank)) send = {};
  if (!needs_recv(operation, rank)) recv = {};
  if (operation.uneven) {
    operation.count = 0;
    for (const std::int64_t count : operation.shared_counts()) {
      std::int64_t bytes = 0;
      if (!__builtin_add_overflow(operation.count, count, &operation.count) &&
          !__builtin_mul_overflow(operation.count, operation.element_bytes(), &bytes)) {
        continue;
      }
      return invalid(operation, "the counts add up to more than an address space holds");
    }
  }
  return check_buffers(operation, rank, send, recv, size);
}

Call call_of(const Operation& operation) {
  Call call{.sequence = operation.sequence,
            .collective = operation.collective,
            .type = operation.type,
            .op = operation.reduction.op(),
            .premultiplied = operation.reduction.factor_kind() != Reduction::Factor::none,
            .uneven = operation.uneven,
            .root = plan::has_root(operation.collective) ? operation.root : 0,
            .count = operation.count};
  for (const std::int64_t count : operation.shared_counts()) {
    // FNV-1a over whole numbers: order matters, equal lists agree.
    call.counts_hash = (call.counts_hash ^ static_cast<std::uint64_t>(count)) * 0x100000001b3 | 1;
  }
  return call;
}

plan::Shape shape_of(const Operation& operation, int size) {
  return {.kind = operation.collective,
          .ranks = size,
          .root = plan::has_root(operation.collective) ? operation.root : 0};
}

std::int64_t message_bytes(const Operation& operation, int size) {
  if (!plan::has_blocks(operation.collective)) return operation.bytes();
  if (operation.collective == Collective::all_to_all && operation.uneven) {
    // Nobody knows what the others exchange: taken for large, where blocks should not be forwarded.
    constexpr std::int64_t kLargeBlockBytes = 1 << 20;
    return kLargeBlockBytes * size;
  }
  return operation.uneven ? operation.bytes() : operation.bytes() * size;
}

}  // namespace tutti::runtime
