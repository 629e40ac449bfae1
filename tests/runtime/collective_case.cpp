#include "runtime/collective_case.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "support/values.h"

namespace tutti::test {

namespace {

constexpr std::byte kGuard{0xa5};
constexpr std::size_t kGuardBytes = 64;

// A buffer with guards on both sides, whose start is as misaligned as its element allows.
class Guarded {
 public:
  Guarded(std::int64_t count, DataType type)
      : element_bytes_(size_of(type)),
        bytes_(static_cast<std::size_t>(count) * element_bytes_),
        memory_(bytes_ + 2 * kGuardBytes + element_bytes_, kGuard) {}

  std::byte* data() { return memory_.data() + kGuardBytes + element_bytes_; }
  std::byte* at(std::int64_t i) { return data() + static_cast<std::size_t>(i) * element_bytes_; }
  bool guards_intact() {
    for (const std::byte* p = memory_.data(); p < data(); ++p) {
      if (*p != kGuard) return false;
    }
    for (const std::byte* p = data() + bytes_; p < memory_.data() + memory_.size(); ++p) {
      if (*p != kGuard) return false;
    }
    return true;
  }

 private:
  std::size_t element_bytes_;
  std::size_t bytes_;
  std::vector<std::byte> memory_;
};

std::string describe(const Communicator& communicator, const Case& one, std::string_view what) {
  return fmt::format("rank {} of {}, {}, count {}, {}, root {}, {}: {}", communicator.rank(),
                     communicator.size(), name(one.type), one.count, name(one.op), one.root,
                     one.in_place ? "in place" : "out of place", what);
}

template <typename Expected>
std::string compare(const Communicator& communicator, const Case& one, Guarded& got,
                    Expected&& value) {
  std::byte want[8];
  const std::size_t element_bytes = size_of(one.type);
  for (std::int64_t i = 0; i < one.count; ++i) {
    store(one.type, value(i), want);
    if (std::memcmp(got.at(i), want, element_bytes) != 0) {
      return describe(communicator, one,
                      fmt::format("element {} is wrong: wanted {}", i, value(i)));
    }
  }
  if (!got.guards_intact()) return describe(communicator, one, "wrote outside the buffer");
  return {};
}

// What the root of a broadcast sends as element i.
std::int64_t sent(const Case& one, std::int64_t i) {
  return static_cast<std::int64_t>(
      mix(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(one.root)) % 8);
}

}  // namespace

std::string run_all_reduce(Communicator& communicator, const Case& one) {
  const int rank = communicator.rank();
  const int size = communicator.size();
  Guarded send(one.count, one.type);
  for (std::int64_t i = 0; i < one.count; ++i) {
    store(one.type, contribution(one.type, one.op, rank, size, i), send.at(i));
  }
  Guarded separate(one.in_place ? 0 : one.count, one.type);
  Guarded& recv = one.in_place ? send : separate;
  const Status status =
      communicator.all_reduce(send.data(), recv.data(), one.count, one.type, one.op);
  if (!status.ok()) return describe(communicator, one, status.message());
  std::string wrong = compare(communicator, one, recv,
                              [&](std::int64_t i) { return expected(one.type, one.op, size, i); });
  if (!wrong.empty() || one.in_place) return wrong;
  return compare(communicator, one, send,
                 [&](std::int64_t i) { return contribution(one.type, one.op, rank, size, i); });
}

std::string run_broadcast(Communicator& communicator, const Case& one) {
  const bool root = communicator.rank() == one.root;
  Guarded send(one.count, one.type);
  for (std::int64_t i = 0; i < one.count && root; ++i) store(one.type, sent(one, i), send.at(i));
  Guarded separate(one.count, one.type);
  Guarded& recv = one.in_place && root ? send : separate;
  const Status status = communicator.broadcast(root ? send.data() : nullptr, recv.data(), one.count,
                                               one.type, one.root);
  if (!status.ok()) return describe(communicator, one, status.message());
  return compare(communicator, one, recv, [&](std::int64_t i) { return sent(one, i); });
}

}  // namespace tutti::test
