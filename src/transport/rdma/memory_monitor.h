// Tells when memory of this process is unmapped, moved or discarded, by userfaultfd.
//
// A network device reads the physical pages that were there when memory was registered. When the
// program unmaps that memory and maps other at the same address, the registration is stale, and the
// device would send old pages. userfaultfd reports exactly these events, whoever causes them: no
// malloc hooks, which miss direct system calls and statically linked allocators. Watched ranges are
// in write-protect mode and nothing is ever write-protected, so no page fault is delivered and
// access costs what it did before.
//
// munmap() and its like return once their event has been read, and memory may be mapped anew at the
// place from then on, or even a moment earlier. Hence two rules:
// - Events are read, and acted upon, under lock(), and so is every look-up: one that came in
//   between would find what the event is about to invalidate. settle() closes the gap between an
//   unmapping and its event.
// - Who holds lock() neither allocates nor frees: that could unmap watched memory, whose event
//   nobody could read.
// A thread reads events while nobody looks up. Not reported: truncation of a mapped file, so only
// private anonymous memory is fit (is_private()). One userfaultfd at a time can watch a page:
// watch() fails where another communicator, or a garbage collector, is first.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/fd.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

// Whole pages [begin, end).
struct PageRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  std::size_t bytes() const { return end - begin; }
  bool contains(PageRange other) const { return begin <= other.begin && other.end <= end; }
  bool overlaps(PageRange other) const { return begin < other.end && other.begin < end; }
  bool operator==(const PageRange&) const = default;
};

// A userfaultfd that reports events to its owner; unavailable, with the reason and what to do,
// where that is not possible.
Result<Fd> open_userfaultfd();

class MemoryMonitor {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // What was at `range`, watched or not, is gone. Under lock(), from any thread: allocates and
    // frees nothing. Parts of its ranges beyond `range` are to be given to unwatch().
    virtual void gone(PageRange range) noexcept = 0;
  };
  using Open = std::function<Result<Fd>()>;

  // `listener` outlives the monitor.
  static Result<std::unique_ptr<MemoryMonitor>> create(Listener& listener,
                                                       const Open& open = open_userfaultfd);
  MemoryMonitor(const MemoryMonitor&) = delete;
  MemoryMonitor& operator=(const MemoryMonitor&) = delete;
  // REQUIRES: every watched range was given to unwatch(). A child that was forked keeps the
  // userfaultfd open, and events that nobody reads would then block their causers for ever.
  ~MemoryMonitor();

  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
  // Reads events until none is under way: from then on, and as long as the lock is held, what the
  // listener was not told of has not changed before the call. False when that took too long. One
  // system call when nothing happens. REQUIRES: lock() is held.
  bool settle() noexcept;

  // False when that memory cannot be watched: not mapped, of a file, or watched by another.
  bool watch(PageRange range) noexcept;
  void unwatch(PageRange range) noexcept;

  // True when the pages of `range` that are there are private and anonymous.
  bool is_private(PageRange range) const noexcept;

 private:
  MemoryMonitor(Listener& listener, Fd faults, Fd pagemap, Fd stop);
  void serve() noexcept;
  void read_events() noexcept;
  bool calm() const noexcept;

  Listener& listener_;
  const Fd faults_;
  const Fd pagemap_;
  const Fd stop_;
  std::mutex mutex_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tutti::transport::rdma
