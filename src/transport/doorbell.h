// Doorbells: how a rank that sleeps is woken.
//
// A doorbell is an eventfd, and a flag in shared memory that says whether its owner sleeps, so that
// ringing somebody who is awake costs no system call. The protocol is Dekker's: the sleeper sets
// the flag and then looks for work once more; the ringer publishes work and then looks at the flag.
// With a full fence between the two steps on both sides, at least one sees the other: the sleeper
// its work, or the ringer the flag. A flag that the ringer clears is rung exactly once; a ring that
// comes after the sleeper woke for another reason only makes its next sleep short.
//
// The ringer's fence waits until what it published has left its store buffer, which takes a
// transfer of the line from core to core: half of what a small message costs its sender. So where
// all processes of a node can, the sleeper makes that fence for them: membarrier(2) interrupts
// those who run (Linux 4.16). Sleeping takes some microseconds more, and nobody waits who works.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <span>
#include <vector>

#include "base/fd.h"
#include "transport/node.h"
#include "tutti/status.h"

// ThreadSanitizer does not model fences, and gcc rejects them under it. A read-modify-write of the
// flag gives the same order there: of two such operations one reads what the other wrote.
#if defined(__SANITIZE_THREAD__)
#define TUTTI_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TUTTI_THREAD_SANITIZER 1
#endif
#endif

namespace tutti::transport {

Result<Fd> make_doorbell();
// Cold: writes the eventfd.
void write_doorbell(int doorbell) noexcept;

// Registers this process, so that far_fence() reaches it. False where the kernel cannot, or a
// container's filter forbids it. Each process, before its node is made.
bool register_far_fences() noexcept;
// A full fence on every thread of every registered process.
void far_fence() noexcept;

// Orders what was published before it against the flags that are looked at after it: about 6 ns.
// One serves for any number of doorbells.
inline void publish_fence() noexcept {
#ifndef TUTTI_THREAD_SANITIZER
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// Orders what was read before it before what is read after it.
inline void read_fence() noexcept {
#ifndef TUTTI_THREAD_SANITIZER
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
}

// After publish_fence(): a look at the flag when nobody sleeps, a system call of about 1 us when
// somebody does.
inline void ring_if_parked(RankLine& line, int doorbell) noexcept {
#ifdef TUTTI_THREAD_SANITIZER
  line.parked.fetch_add(0, std::memory_order_seq_cst);
#endif
  if (line.parked.load(std::memory_order_relaxed) == 0) [[likely]]
    return;
  if (line.parked.exchange(0, std::memory_order_relaxed) != 0) write_doorbell(doorbell);
}

// `far`: those who ring leave the fence to us.
inline void announce_sleep(RankLine& line, bool far) noexcept {
#ifdef TUTTI_THREAD_SANITIZER
  (void)far;
  line.parked.exchange(1, std::memory_order_seq_cst);
#else
  line.parked.store(1, std::memory_order_relaxed);
  if (far) {
    far_fence();
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
#endif
}

// Sleeps until the doorbell was rung, one of `fds` is ready (revents is set) or timeout_ms passed.
// `scratch` keeps its memory from call to call.
void sleep_at_doorbell(int doorbell, std::span<pollfd> fds, int timeout_ms,
                       std::vector<pollfd>& scratch) noexcept;

}  // namespace tutti::transport
