#include "runtime/known_memory.h"

#include <cassert>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/try.h"

namespace tutti::runtime {

void KnownMemory::begin(std::vector<transport::Transport*> transports) {
  const std::lock_guard lock(mutex_);
  transports_ = std::move(transports);
}

// The transports go, and what they know with them.
void KnownMemory::end() noexcept {
  const std::lock_guard lock(mutex_);
  transports_.clear();
  ranges_.clear();
}

Status KnownMemory::check(std::uintptr_t begin, std::size_t bytes) const {
  if (begin == 0) {
    return error(Code::invalid_argument, "the data is null; pass the first of the {} bytes", bytes);
  }
  if (bytes > UINTPTR_MAX - begin) {
    return error(Code::invalid_argument,
                 "{} bytes at {:#x} are beyond the end of memory; pass the buffer's own size",
                 bytes, begin);
  }
  auto next = ranges_.lower_bound(begin + bytes);
  if (next == ranges_.begin()) return {};
  const auto& [start, range] = *std::prev(next);
  if (start + range.bytes <= begin) return {};
  const bool allocated = range.origin == Origin::allocated;
  return error(Code::invalid_argument, "{} bytes at {:#x} overlap {} bytes at {:#x} that {}", bytes,
               begin, range.bytes, start,
               allocated ? "the communicator allocated; these need no registration"
                         : "are registered already; register each buffer once and as a whole, or "
                           "destroy the older registration first");
}

Status KnownMemory::add(const void* data, std::size_t bytes, Origin origin) {
  assert(bytes > 0);
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  const std::lock_guard lock(mutex_);
  TUTTI_TRY(check(begin, bytes));
  for (std::size_t i = 0; i < transports_.size(); ++i) {
    Status kept = transports_[i]->keep(data, bytes);
    if (kept.ok()) continue;
    while (i-- > 0) transports_[i]->forget(data);
    return kept;
  }
  ranges_.emplace(begin, Range{bytes, origin});
  return {};
}

void KnownMemory::remove(const void* data) noexcept {
  const std::lock_guard lock(mutex_);
  if (ranges_.erase(reinterpret_cast<std::uintptr_t>(data)) == 0) return;
  for (transport::Transport* const transport : transports_) transport->forget(data);
}

}  // namespace tutti::runtime
