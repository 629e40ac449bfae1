#include "runtime/transfer.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "device/reduce.h"

namespace tutti::runtime {

std::string describe(const Transfer& transfer) {
  return fmt::format("{}({}, {}) {} rank {}", transfer.sends ? "send" : "recv", name(transfer.type),
                     transfer.count, transfer.sends ? "to" : "from", transfer.peer);
}

Status check(const Transfer& transfer, int rank, int size, bool in_group) {
  const std::string_view call = transfer.sends ? "send" : "recv";
  if (static_cast<int>(transfer.type) >= kDataTypeCount) {
    return error(Code::invalid_argument, "{}: type {} is no DataType; the values are 0 to {}", call,
                 static_cast<int>(transfer.type), kDataTypeCount - 1);
  }
  if (transfer.count < 0) {
    return error(Code::invalid_argument, "{}: count is {}; it must be 0 or more", call,
                 transfer.count);
  }
  std::ptrdiff_t bytes = 0;
  if (__builtin_mul_overflow(transfer.count, size_of(transfer.type), &bytes)) {
    return error(Code::invalid_argument,
                 "{}: count {} of {} is more bytes than an address space "
                 "holds",
                 call, transfer.count, name(transfer.type));
  }
  if (transfer.peer < 0 || transfer.peer >= size) {
    return error(Code::invalid_argument, "{}: peer is {}; the communicator has ranks 0 to {}", call,
                 transfer.peer, size - 1);
  }
  if (transfer.data == nullptr && transfer.count > 0) {
    return error(Code::invalid_argument, "{}: data is null although count is {}", call,
                 transfer.count);
  }
  if (transfer.peer == rank && !in_group) {
    return error(Code::invalid_argument,
                 "{}: peer is this rank, {}, itself, which would wait for ever; call it in a "
                 "group() together with its counterpart, or use send_recv()",
                 call, rank);
  }
  return {};
}

namespace {

struct Own {
  std::vector<Transfer> sends;
  std::vector<Transfer> receives;
};

Own own_transfers(std::span<const Transfer> transfers, int rank) {
  Own own;
  for (const Transfer& transfer : transfers) {
    if (transfer.peer == rank) (transfer.sends ? own.sends : own.receives).push_back(transfer);
  }
  return own;
}

}  // namespace

Status check_own(std::span<const Transfer> transfers, int rank) {
  const Own own = own_transfers(transfers, rank);
  if (own.sends.size() != own.receives.size()) {
    return error(Code::invalid_argument,
                 "rank {} sends {} messages to itself and receives {}; the two must be equal", rank,
                 own.sends.size(), own.receives.size());
  }
  for (std::size_t i = 0; i < own.sends.size(); ++i) {
    const Transfer& sent = own.sends[i];
    const Transfer& received = own.receives[i];
    if (sent.count == received.count && sent.type == received.type) continue;
    return error(Code::invalid_argument, "rank {} called {} and {}; type and count must be equal",
                 rank, describe(sent), describe(received));
  }
  return {};
}

std::vector<Transfer> deliver_own(std::span<const Transfer> transfers, int rank) {
  const Own own = own_transfers(transfers, rank);
  for (std::size_t i = 0; i < own.sends.size(); ++i) {
    const Transfer& sent = own.sends[i];
    if (sent.bytes() == 0 || sent.data == own.receives[i].data) continue;
    device::copy(own.receives[i].data, sent.data, sent.bytes(), device::Store::cached);
  }
  std::vector<Transfer> others(transfers.begin(), transfers.end());
  std::erase_if(others, [rank](const Transfer& transfer) { return transfer.peer == rank; });
  return others;
}

}  // namespace tutti::runtime
