// A point in time after which waiting is an error. Every wait of the library takes one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tutti {

using Clock = std::chrono::steady_clock;

class Deadline {
 public:
  static Deadline after_ms(std::int64_t ms) {
    return Deadline(Clock::now() + std::chrono::milliseconds(ms));
  }
  explicit Deadline(Clock::time_point at) : at_(at) {}

  bool passed() const { return Clock::now() >= at_; }
  // Milliseconds left, rounded up, at least 0 and at most INT_MAX: fit for poll().
  int remaining_ms() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 0x7fffffff));
  }
  Clock::time_point at() const { return at_; }
  // The earlier of the two.
  Deadline sooner(Deadline other) const { return Deadline(std::min(at_, other.at_)); }

 private:
  Clock::time_point at_;
};

}  // namespace tutti
