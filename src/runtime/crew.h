// Threads that help a rank with long blocks of memory: with copies, reductions, reads of a peer's
// process.
//
// A block is cut into shares, which the caller and the workers take one by one until none is left.
// So nobody waits for a worker that wakes up late or has lost its core: the caller waits only for
// shares that were begun. Where shares begin depends on the block alone, and every element is
// computed by itself: results do not depend on who takes what.
//
// After a block workers look for the next one for a while, as the same operation mostly has more,
// and then sleep. Only blocks of long operations wake them.
//
// Lifetime: a communicator's. dismiss() is for any thread, all else for one at a time. Workers run
// where the thread that made them may (its CPUs), block all signals and hold no lock. A forked
// child has no workers: there the caller does all. One that the kernel wakes up on the caller's CPU
// moves to another. Cost of dividing a block: no allocation or lock; of system calls, one that
// wakes sleepers, if there are any (on a virtual machine it took 12 us, and the worker came 20 us
// later).
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tutti/status.h"

namespace tutti::runtime {

inline constexpr int kThreadsMax = 16;

class Crew {
 public:
  // The calling thread and `threads` - 1 workers. unavailable when one cannot be started.
  static Result<std::unique_ptr<Crew>> create(int threads);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // What a rank takes by itself when `ranks` of them share so many cores. One core copies some 10
  // GB/s, and a few of them what a socket's memory gives.
  static constexpr int threads_for(int cores, int ranks) {
    constexpr int kMost = 4;
    return std::clamp(cores / ranks, 1, kMost);
  }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // The following blocks are of an operation that moves so many bytes.
  void expect(std::int64_t operation_bytes) { wakes_ = operation_bytes >= kWakeBytes; }

  // Calls work(thread, begin, bytes) for all of a block of `bytes`, and returns when that is done:
  // at once for all of it, or, where that is worth the trouble, in shares that begin at multiples
  // of `share_bytes` and are of so many but the last. No two calls at a time have the same
  // `thread`, which is 0 to threads() - 1.
  template <typename Work>
  void divide(std::int64_t bytes, std::int64_t share_bytes, const Work& work) {
    if (workers_.empty() || bytes < 2 * share_bytes) {
      work(0, std::int64_t{0}, bytes);
      return;
    }
    run(&call<Work>, &work, bytes, share_bytes);
  }

  // Workers end, soon; the caller is left to do all of it. Never blocks.
  void dismiss() noexcept;

 private:
  using Call = void (*)(const void* work, int thread, std::int64_t begin,
                        std::int64_t bytes) noexcept;
  template <typename Work>
  static void call(const void* work, int thread, std::int64_t begin, std::int64_t bytes) noexcept {
    (*static_cast<const Work*>(work))(thread, begin, bytes);
  }

  struct Worker {
    Crew* crew;
    int thread;  // 1 to threads() - 1
    ::pthread_t id;
  };

  Crew();
  void run(Call call, const void* work, std::int64_t bytes, std::int64_t share_bytes);
  // Takes a share of the block, and does it. False when there is none left.
  bool take_share(int thread);
  void serve(int thread);
  void doze();
  void wake(int sleepers) noexcept;

  static constexpr std::size_t kCacheLine = 64;
  // An operation of some hundred microseconds, in which a worker is of use once it is awake.
  static constexpr std::int64_t kWakeBytes = 2 << 20;

  bool wakes_ = false;
  // The block. Rewritten when all shares of the last one are done: who reads these and then gets a
  // share has read those of that share's block.
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> work_{nullptr};
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<std::int64_t> share_bytes_{1};
  std::atomic<int> cpu_{-1};  // where the caller ran when it woke sleepers
  std::uint32_t blocks_ = 0;  // so far, modulo 2^32
  // The block's number, and how many shares of it are left to take (the lower half).
  alignas(kCacheLine) std::atomic<std::uint64_t> left_{0};
  std::atomic<std::int64_t> done_{0};  // shares that workers have done
  // Sleep. Who goes to sleep says so before it looks a last time; who has a block looks for
  // sleepers once it is there.
  alignas(kCacheLine) std::atomic<std::int32_t> sleepers_{0};
  std::atomic<std::uint32_t> bell_{0};
  std::atomic<bool> dismissed_{false};
  std::vector<Worker> workers_;
  const ::pid_t process_;  // whose threads they are
};

}  // namespace tutti::runtime
