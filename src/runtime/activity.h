// What a rank is doing while it waits, for messages about it. Asked for text only when it is late.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/call.h"

namespace tutti::runtime {

class Activity {
 public:
  // The number of the collective that runs, or of the last one before a point-to-point operation.
  virtual std::uint64_t sequence() const = 0;
  // "all_reduce(float32, 1024, sum)"
  virtual std::string text() const = 0;

 protected:
  ~Activity() = default;
};

class CollectiveActivity final : public Activity {
 public:
  explicit CollectiveActivity(const Call& call) : call_(call) {}
  std::uint64_t sequence() const override { return call_.sequence; }
  std::string text() const override { return describe(call_); }

 private:
  const Call& call_;
};

}  // namespace tutti::runtime
