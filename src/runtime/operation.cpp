#include "runtime/operation.h"

#include <limits>

#include "base/error.h"

namespace tutti {

std::string_view name(Collective collective) noexcept {
  switch (collective) {
    case Collective::all_reduce:
      return "all_reduce";
    case Collective::broadcast:
      return "broadcast";
  }
  return "invalid";
}

}  // namespace tutti

namespace tutti::runtime {

namespace {

template <typename... Args>
Status invalid(const Operation& operation, fmt::format_string<Args...> text, Args&&... args) {
  return error(Code::invalid_argument, "{}: {}", name(operation.collective),
               fmt::format(text, std::forward<Args>(args)...));
}

// Overlapping but different buffers would be overwritten before they are read.
bool overlap(const Operation& operation) {
  const auto send = reinterpret_cast<std::uintptr_t>(operation.send);
  const auto recv = reinterpret_cast<std::uintptr_t>(operation.recv);
  const auto bytes = static_cast<std::uintptr_t>(operation.bytes());
  return send != recv && send < recv + bytes && recv < send + bytes;
}

Status check_buffers(const Operation& operation, bool reads_send) {
  if (operation.count == 0) return {};
  if (operation.recv == nullptr) {
    return invalid(operation, "recv is null although count is {}", operation.count);
  }
  if (!reads_send) return {};
  if (operation.send == nullptr) {
    return invalid(operation, "send is null although count is {}", operation.count);
  }
  if (overlap(operation)) {
    return invalid(operation,
                   "send ({}) and recv ({}) overlap within their {} bytes; pass the same pointer "
                   "for in place, or separate buffers",
                   operation.send, operation.recv, operation.bytes());
  }
  return {};
}

}  // namespace

std::string describe(const Operation& operation) {
  if (operation.barrier) return "barrier()";
  if (operation.collective == Collective::broadcast) {
    return fmt::format("broadcast({}, {}, root {})", name(operation.type), operation.count,
                       operation.root);
  }
  return fmt::format("all_reduce({}, {}, {})", name(operation.type), operation.count,
                     name(operation.op));
}

Status check(const Operation& operation, int rank, int size) {
  if (static_cast<int>(operation.type) >= kDataTypeCount) {
    return invalid(operation, "type {} is no DataType; the values are 0 to {}",
                   static_cast<int>(operation.type), kDataTypeCount - 1);
  }
  if (static_cast<int>(operation.op) >= kReduceOpCount) {
    return invalid(operation, "op {} is no ReduceOp; the values are 0 to {}",
                   static_cast<int>(operation.op), kReduceOpCount - 1);
  }
  if (operation.count < 0) {
    return invalid(operation, "count is {}; it must be 0 or more", operation.count);
  }
  const auto element_bytes = static_cast<std::int64_t>(size_of(operation.type));
  if (operation.count > std::numeric_limits<std::ptrdiff_t>::max() / element_bytes) {
    return invalid(operation, "count {} of {} is more bytes than an address space holds",
                   operation.count, name(operation.type));
  }
  const bool broadcast = operation.collective == Collective::broadcast;
  if (broadcast && (operation.root < 0 || operation.root >= size)) {
    return invalid(operation, "root is {}; the communicator has ranks 0 to {}", operation.root,
                   size - 1);
  }
  return check_buffers(operation, !broadcast || operation.root == rank);
}

plan::Shape shape_of(const Operation& operation, int size) {
  const bool broadcast = operation.collective == Collective::broadcast;
  return {.kind = broadcast ? plan::Kind::broadcast : plan::Kind::all_reduce,
          .ranks = size,
          .root = broadcast ? operation.root : 0};
}

}  // namespace tutti::runtime
