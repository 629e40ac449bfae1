#include "runtime/waiter.h"

#include "base/error.h"

namespace tutti::runtime {

namespace {

// How long a failure waits for the control path's better message: a killed process closes its
// control connection in the same moment as its ports, and its memory goes.
constexpr std::int64_t kNewsMs = 500;

}  // namespace

Status Waiter::news(const Activity& activity) const {
  TUTTI_TRY(control_.failure());
  for (const auto& [rank, finished] : control_.departures()) {
    if (finished >= activity.sequence()) continue;
    return control_.report(rank_error(
        Code::peer_failed, rank,
        "rank {} closed its communicator after {} operations, while operation {} ({}) needs it; "
        "every rank must make the same calls before it destroys the communicator",
        rank, finished, activity.sequence(), activity.text()));
  }
  return {};
}

Status Waiter::peer_failed(Status error) {
  const Deadline deadline = Deadline::after_ms(kNewsMs);
  while (!deadline.passed()) {
    node_.prepare_park();
    if (!control_.failure().ok()) {
      node_.unpark();
      return control_.failure();
    }
    node_.park({}, deadline.remaining_ms());
    node_.unpark();
  }
  return control_.report(std::move(error));
}

}  // namespace tutti::runtime
