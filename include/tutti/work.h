// An asynchronous operation: what the _async calls of a communicator return.
//
// Asynchronous operations of a communicator run one after the other, in the order of the calls, on
// a thread of its own; a blocking call waits for those before it. Aborting the communicator ends
// those that still run or wait with Code::aborted. Copies refer to the same operation; all members
// are thread-safe, and stay so after the communicator is gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tutti/export.h"
#include "tutti/status.h"

namespace tutti {

// One asynchronous operation.
class TUTTI_API Work {
 public:
  Work() noexcept;  // refers to nothing; is done, with success
  // Done, with success or an error? Never blocks.
  bool test() const noexcept;
  // Waits until the operation is done and returns its outcome.
  Status wait() const;
  // Waits at most `timeout_ms`; timed_out when it is still running then (it goes on running).
  Status wait(std::int64_t timeout_ms) const;
  // Calls `callback` once with the outcome: on the communicator's thread when the operation ends,
  // or at once, here, when it has. Later operations wait meanwhile: be brief, and call nothing of
  // the communicator. Callbacks run in the order in which they were given.
  void on_done(std::function<void(const Status&)> callback) const;

  // For the library itself.
  struct State;
  // For the library itself.
  explicit Work(std::shared_ptr<State> state) noexcept;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace tutti
