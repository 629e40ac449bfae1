#include "runtime/crew.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/block_signals.h"
#include "base/error.h"
#include "runtime/waiter.h"

namespace tutti::runtime {

namespace {

// How often a worker looks for a block before it sleeps: some 100 us, which is longer than the gaps
// between the blocks of one operation, and a few times what it costs to wake up.
constexpr int kLooks = 5000;

// A share is some microseconds of work. Whoever waits longer for one waits for a thread that has
// lost its core, and may be what keeps it from it.
constexpr int kSpins = 2000;

constexpr std::uint64_t kShares = 0xffff'ffff;  // the lower half

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t));
  ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

// A worker that wakes up on the caller's CPU takes turns with it, even if others are idle: virtual
// machines do so after a longer sleep, as they take an idle CPU of theirs for a busy one of the
// host's. (4 MiB took 260 to 430 us that way, and 265 with one thread.) Forbidden that CPU for a
// moment, it is moved to another.
void leave_cpu(int cpu) {
  cpu_set_t all;
  if (::sched_getcpu() != cpu || ::sched_getaffinity(0, sizeof all, &all) != 0) return;
  cpu_set_t others = all;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || ::sched_setaffinity(0, sizeof others, &others) != 0) return;
  ::sched_setaffinity(0, sizeof all, &all);
}

}  // namespace

Result<std::unique_ptr<Crew>> Crew::create(int threads) {
  std::unique_ptr<Crew> crew(new Crew());
  crew->workers_.reserve(static_cast<std::size_t>(std::max(threads - 1, 0)));
  const BlockSignals blocked;
  for (int thread = 1; thread < threads; ++thread) {
    Worker& worker = crew->workers_.emplace_back(Worker{crew.get(), thread, {}});
    const auto begin = [](void* self) -> void* {
      static_cast<Worker*>(self)->crew->serve(static_cast<Worker*>(self)->thread);
      return nullptr;
    };
    if (const int failed = ::pthread_create(&worker.id, nullptr, begin, &worker); failed != 0) {
      crew->workers_.pop_back();
      return error(Code::unavailable,
                   "cannot start thread {} of the {} that copy and reduce: {}; raise the limits on "
                   "threads and memory (ulimit -u, ulimit -v, pids.max), or set TUTTI_THREADS=1",
                   thread + 1, threads, errno_text(failed));
    }
    ::pthread_setname_np(worker.id, "tutti-crew");
  }
  return crew;
}

Crew::Crew() : process_(::getpid()) {}

Crew::~Crew() {
  dismiss();
  if (::getpid() != process_) return;
  for (const Worker& worker : workers_) ::pthread_join(worker.id, nullptr);
}

void Crew::dismiss() noexcept {
  if (workers_.empty()) return;
  dismissed_.store(true, std::memory_order_seq_cst);
  wake(static_cast<int>(workers_.size()));
}

void Crew::run(Call call, const void* work, std::int64_t bytes, std::int64_t share_bytes) {
  const std::int64_t shares = (bytes + share_bytes - 1) / share_bytes;
  call_.store(call, std::memory_order_relaxed);
  work_.store(work, std::memory_order_relaxed);
  bytes_.store(bytes, std::memory_order_relaxed);
  share_bytes_.store(share_bytes, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  const std::uint64_t number = ++blocks_;
  left_.store(number << 32 | static_cast<std::uint64_t>(shares), std::memory_order_seq_cst);
  if (wakes_ && sleepers_.load(std::memory_order_seq_cst) > 0) {
    cpu_.store(::sched_getcpu(), std::memory_order_relaxed);
    wake(static_cast<int>(std::min<std::int64_t>(shares - 1, threads())));
  }

  std::int64_t own = 0;
  while (take_share(0)) ++own;
  for (int spins = 0; done_.load(std::memory_order_acquire) < shares - own;) {
    if (++spins < kSpins) {
      cpu_relax();
    } else {
      ::sched_yield();
    }
  }
}

bool Crew::take_share(int thread) {
  std::uint64_t left = left_.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t shares = left & kShares;
    if (shares == 0) return false;
    const Call call = call_.load(std::memory_order_relaxed);
    const void* const work = work_.load(std::memory_order_relaxed);
    const std::int64_t bytes = bytes_.load(std::memory_order_relaxed);
    const std::int64_t share_bytes = share_bytes_.load(std::memory_order_relaxed);
    if (!left_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      continue;
    }
    const std::int64_t all = (bytes + share_bytes - 1) / share_bytes;
    const std::int64_t begin = (all - static_cast<std::int64_t>(shares)) * share_bytes;
    call(work, thread, begin, std::min(share_bytes, bytes - begin));
    return true;
  }
}

void Crew::serve(int thread) {
  int looks = 0;
  while (!dismissed_.load(std::memory_order_acquire)) {
    if (take_share(thread)) {
      done_.fetch_add(1, std::memory_order_release);
      looks = 0;
    } else if (++looks <= kLooks) {
      cpu_relax();
    } else {
      doze();
      looks = 0;
    }
  }
}

void Crew::doze() {
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  const std::uint32_t bell = bell_.load(std::memory_order_seq_cst);
  const bool idle = (left_.load(std::memory_order_seq_cst) & kShares) == 0 &&
                    !dismissed_.load(std::memory_order_seq_cst);
  if (idle) futex(bell_, FUTEX_WAIT, bell);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  if (idle && !dismissed_.load(std::memory_order_relaxed)) {
    leave_cpu(cpu_.load(std::memory_order_relaxed));
  }
}

void Crew::wake(int sleepers) noexcept {
  bell_.fetch_add(1, std::memory_order_seq_cst);
  futex(bell_, FUTEX_WAKE, static_cast<std::uint32_t>(sleepers));
}

}  // namespace tutti::runtime
