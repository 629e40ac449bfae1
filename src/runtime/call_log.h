// The calls that a rank made last: written by the thread that makes them, read by the control
// thread, which compares them with the other ranks'.
//
// An entry is a few relaxed words between two stores of its number, so that a reader can tell a
// torn one (a sequence lock; Boehm, "Can seqlocks get along with programming language memory
// models?", MSPC 2012). One writer at a time; any reader.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "runtime/call.h"

namespace tutti::runtime {

class CallLog {
 public:
  static constexpr std::size_t kCalls = 64;

  // Hot: six stores.
  void put(const Call& call) noexcept;
  // The call of that number; nothing when it is none of the last kCalls.
  std::optional<Call> find(std::uint64_t sequence) const noexcept;

 private:
  struct alignas(64) Entry {
    std::atomic<std::uint64_t> sequence{0};  // 0: being written, or never
    std::atomic<std::uint64_t> what{0};      // collective, type, operator, flags, root
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> counts_hash{0};
    std::atomic<std::uint64_t> history{0};
  };
  std::array<Entry, kCalls> entries_;
};

}  // namespace tutti::runtime
