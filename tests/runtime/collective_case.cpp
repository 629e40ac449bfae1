#include "runtime/collective_case.h"

#include <fmt/format.h>

#include <algorithm>
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

// Values repeat with a prime period, so that no tile or chunk looks like another, and so that a
// case costs little more than its copies.
constexpr std::int64_t kPeriod = 1021;

template <typename Value>
std::vector<std::byte> one_period(const Case& one, Value&& value) {
  const std::size_t element_bytes = size_of(one.type);
  std::vector<std::byte> bytes(kPeriod * element_bytes);
  for (std::int64_t i = 0; i < kPeriod; ++i) {
    store(one.type, value(i), bytes.data() + static_cast<std::size_t>(i) * element_bytes);
  }
  return bytes;
}

void fill(Guarded& buffer, const Case& one, const std::vector<std::byte>& period) {
  for (std::int64_t i = 0; i < one.count; i += kPeriod) {
    const auto n = static_cast<std::size_t>(std::min(kPeriod, one.count - i));
    std::memcpy(buffer.at(i), period.data(), n * size_of(one.type));
  }
}

std::string compare(const Communicator& communicator, const Case& one, Guarded& got,
                    const std::vector<std::byte>& period) {
  const std::size_t element_bytes = size_of(one.type);
  for (std::int64_t i = 0; i < one.count; i += kPeriod) {
    const auto n = static_cast<std::size_t>(std::min(kPeriod, one.count - i));
    if (std::memcmp(got.at(i), period.data(), n * element_bytes) == 0) continue;
    std::int64_t wrong = 0;
    while (std::memcmp(got.at(i + wrong),
                       period.data() + static_cast<std::size_t>(wrong) * element_bytes,
                       element_bytes) == 0) {
      ++wrong;
    }
    return describe(communicator, one, fmt::format("element {} is wrong", i + wrong));
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
  const int size = communicator.size();
  const auto mine = one_period(one, [&](std::int64_t i) {
    return contribution(one.type, one.op, communicator.rank(), size, i);
  });
  Guarded send(one.count, one.type);
  fill(send, one, mine);
  Guarded separate(one.in_place ? 0 : one.count, one.type);
  Guarded& recv = one.in_place ? send : separate;
  const Status status =
      communicator.all_reduce(send.data(), recv.data(), one.count, one.type, one.op);
  if (!status.ok()) return describe(communicator, one, status.message());
  const auto want =
      one_period(one, [&](std::int64_t i) { return expected(one.type, one.op, size, i); });
  std::string wrong = compare(communicator, one, recv, want);
  if (!wrong.empty() || one.in_place) return wrong;
  return compare(communicator, one, send, mine);  // the input is left alone
}

std::string run_broadcast(Communicator& communicator, const Case& one) {
  const bool root = communicator.rank() == one.root;
  const auto want = one_period(one, [&](std::int64_t i) { return sent(one, i); });
  Guarded send(one.count, one.type);
  if (root) fill(send, one, want);
  Guarded separate(one.count, one.type);
  Guarded& recv = one.in_place && root ? send : separate;
  const Status status = communicator.broadcast(root ? send.data() : nullptr, recv.data(), one.count,
                                               one.type, one.root);
  if (!status.ok()) return describe(communicator, one, status.message());
  return compare(communicator, one, recv, want);
}

}  // namespace tutti::test
