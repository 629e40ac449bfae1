// Waiting for peers: spin, then yield, then sleep; never longer than the deadline.
//
// Spinning answers within a cache-line transfer, but burns the core that the peer may need; so with
// more ranks than CPUs on the node there is none to speak of. Sleeping costs the peer a system call
// to wake us, so it comes last. One waiter belongs to one communicator and one thread at a time.
#pragma once

#include <poll.h>
#include <sched.h>

#include <cstdint>
#include <span>

#include "base/deadline.h"
#include "base/try.h"
#include "runtime/activity.h"
#include "runtime/control.h"
#include "transport/node.h"
#include "tutti/status.h"

namespace tutti::runtime {

// What one look for work found.
enum class Pass : std::uint8_t { blocked, progressed, done };

// How long each stage of waiting lasts, in looks for work.
struct Patience {
  int spins = 0;
  int yields = 0;
  bool crowded = false;  // more ranks than CPUs: waiting for a peer is a change of process

  // For `ranks` waiting ranks that share `cpus`.
  static Patience of(int ranks, int cpus) {
    // 2,000 spins are about 40 us: more than a peer takes for a tile of 128 KiB. A sleep and its
    // wake-up cost 2 us and more, on virtual machines up to 100, so who has a core to itself sleeps
    // after some 5 ms, when the peer is not merely late.
    if (ranks <= cpus) return {.spins = 2000, .yields = 10000};
    // Yielding hands the core to a peer that shares it, which is cheaper than a sleep and its
    // wake-up; but only within one session or control group, so it must not last. It comes at once:
    // 20 spins, 1 us, took as long as two changes of process, and whoever is waited for is as often
    // the one that shares the core (8 ranks on 2 cores took 1.05 to 1.6 times as long).
    return {.spins = 1, .yields = 200, .crowded = true};
  }
};

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

class Waiter {
 public:
  Waiter(transport::Node& node, Control& control, std::int64_t timeout_ms, Patience patience)
      : node_(node), control_(control), timeout_ms_(timeout_ms), patience_(patience) {}

  bool crowded() const { return patience_.crowded; }

  // Repeats `pass` until it says done. While it is blocked, waits; readiness of one of `fds()` ends
  // a sleep. The deadline runs while nothing moves. `blocked_on` is cold: it gives the peer that is
  // waited for, or the error that its port shows.
  template <typename FdsFn, typename PassFn, typename BlockedFn>
  Status run(const Activity& activity, FdsFn&& fds, PassFn&& pass, BlockedFn&& blocked_on) {
    // The clock is read only once the wait is no longer short. Not an optional Deadline: gcc 12
    // takes it for uninitialized in look_around().
    Deadline deadline{Clock::time_point()};
    bool timed = false;
    int looks = 0;
    bool armed = false;  // the doorbell is armed: this look decides whether to sleep
    for (;;) {
      const Pass found = pass();
      if (found != Pass::blocked) {
        if (armed) node_.unpark();
        if (found == Pass::done) return {};
        looks = 0;
        armed = false;
        timed = false;
      } else if (++looks <= patience_.spins) {
        cpu_relax();
      } else if (armed) {
        node_.park(fds(), kSleepMs);
        node_.unpark();
        armed = false;
      } else if (const int yields = looks - patience_.spins;
                 yields <= patience_.yields && yields % kYieldsPerGlance != 0) {
        ::sched_yield();
      } else {
        if (!timed) deadline = Deadline::after_ms(timeout_ms_);
        timed = true;
        if (control_.attention()) {
          // What came before a failure counts: a peer that had it may have gone on to that failure.
          Pass last = pass();
          for (; last == Pass::progressed; last = pass()) {
            deadline = Deadline::after_ms(timeout_ms_);
          }
          if (last == Pass::done) return {};
          TUTTI_TRY(news(activity));
        }
        TUTTI_TRY(look_around(activity, deadline, blocked_on));
        if (yields <= patience_.yields) {
          ::sched_yield();
        } else {
          node_.prepare_park();
          armed = true;
        }
      }
    }
  }

  // A port failed, or a peer's memory is gone. The control path mostly knows why, or will in a
  // moment; else it hears of this error.
  Status peer_failed(Status error);

 private:
  // Looking for what ends a wait with an error costs some 100 ns, a third of a change of process:
  // seldom enough for that, and soon enough for errors.
  static constexpr int kYieldsPerGlance = 16;
  // A sleep ends when the doorbell rings; this bound only limits how late a deadline is noticed.
  static constexpr int kSleepMs = 50;

  // Does anything end the wait with an error that this rank is the first to see?
  template <typename BlockedFn>
  Status look_around(const Activity& activity, Deadline deadline, BlockedFn&& blocked_on) {
    if (Result<int> peer = blocked_on(); !peer.ok()) {
      const bool lost = peer.status().code() == Code::peer_failed;
      return lost ? peer_failed(std::move(peer).status()) : std::move(peer).status();
    } else if (deadline.passed()) {
      return control_.timed_out(activity.sequence(), activity.text(), *peer, timeout_ms_);
    }
    return {};
  }

  // The control path's failure, or an error about a rank that left before this activity.
  Status news(const Activity& activity) const;

  transport::Node& node_;
  Control& control_;
  std::int64_t timeout_ms_;
  Patience patience_;
};

}  // namespace tutti::runtime
