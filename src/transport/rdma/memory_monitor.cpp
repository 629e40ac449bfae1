#include "transport/rdma/memory_monitor.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/block_signals.h"
#include "base/deadline.h"
#include "base/error.h"
#include "base/try.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

namespace tutti::transport::rdma {
namespace {

// An unmapping is between its effect and its event for some microseconds, unless its thread is not
// running just then.
constexpr int kSettleMs = 100;

constexpr std::uint64_t kEvents =
    UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE;

Status refused(int number) {
  switch (number) {
    case EINVAL:
      return error(Code::unavailable,
                   "memory cannot be watched by userfaultfd: {}; Linux 5.11 or newer can",
                   errno_text(number));
    case ENOSYS:
      return error(Code::unavailable,
                   "memory cannot be watched by userfaultfd: {}; the kernel lacks it "
                   "(CONFIG_USERFAULTFD), or the container's seccomp profile must allow it",
                   errno_text(number));
    case EPERM:
      return error(Code::unavailable,
                   "memory cannot be watched by userfaultfd: {}; allow the system call in the "
                   "container's seccomp profile",
                   errno_text(number));
    default:
      return error(Code::unavailable,
                   "memory cannot be watched by userfaultfd: {}; raise the limit of open "
                   "descriptors (`ulimit -n`)",
                   errno_text(number));
  }
}

}  // namespace

Result<Fd> open_userfaultfd() {
  // Faults in the kernel are not asked for, since then no privilege is needed. The flag also keeps
  // out kernels before 5.11, whose fork() leaves the parent's registered pages to the child.
  Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
  if (!fd.valid()) return refused(errno);
  uffdio_api handshake{};
  handshake.api = UFFD_API;
  handshake.features = kEvents;
  if (::ioctl(fd.get(), UFFDIO_API, &handshake) != 0) return refused(errno);
  if ((handshake.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) == 0) {
    return error(Code::unavailable,
                 "memory cannot be watched by userfaultfd: this kernel has no write-protect mode; "
                 "it needs CONFIG_HAVE_ARCH_USERFAULTFD_WP");
  }
  return fd;
}

MemoryMonitor::MemoryMonitor(Listener& listener, Fd faults, Fd pagemap, Fd stop)
    : listener_(listener),
      faults_(std::move(faults)),
      pagemap_(std::move(pagemap)),
      stop_(std::move(stop)) {}

Result<std::unique_ptr<MemoryMonitor>> MemoryMonitor::create(Listener& listener, const Open& open) {
  TUTTI_TRY_ASSIGN(Fd faults, open());
  Fd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap.valid()) {
    return error(Code::unavailable,
                 "kinds of memory cannot be told apart: /proc/self/pagemap: {}; mount /proc and "
                 "let this process read its own files there",
                 errno_text(errno));
  }
  Fd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return refused(errno);
  std::unique_ptr<MemoryMonitor> monitor(
      new MemoryMonitor(listener, std::move(faults), std::move(pagemap), std::move(stop)));
  const BlockSignals block;
  try {
    monitor->thread_ = std::thread([self = monitor.get()] { self->serve(); });
  } catch (const std::system_error& failure) {
    return error(Code::unavailable,
                 "the thread that watches memory cannot be started: {}; raise the limit of threads "
                 "(ulimit -u, pids.max of the container)",
                 failure.what());
  }
  ::pthread_setname_np(monitor->thread_.native_handle(), "tutti-memory");
  return monitor;
}

MemoryMonitor::~MemoryMonitor() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  while (::write(stop_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
  thread_.join();
}

void MemoryMonitor::serve() noexcept {
  std::array<pollfd, 2> fds = {{{faults_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  while (true) {
    ::poll(fds.data(), fds.size(), -1);  // until somebody unmaps or the owner ends
    if (fds[1].revents != 0) return;
    if (fds[0].revents == 0) continue;
    const std::unique_lock held = lock();
    read_events();
  }
}

void MemoryMonitor::read_events() noexcept {
  std::array<uffd_msg, 16> events;
  while (true) {
    const ssize_t bytes = ::read(faults_.get(), events.data(), sizeof events);
    if (bytes <= 0) return;
    const std::size_t count = static_cast<std::size_t>(bytes) / sizeof events[0];
    for (std::size_t i = 0; i < count; ++i) {
      const uffd_msg& event = events[i];
      if (event.event == UFFD_EVENT_UNMAP) {
        listener_.gone({event.arg.remove.start, event.arg.remove.end});
      } else if (event.event == UFFD_EVENT_REMOVE) {
        const PageRange range{event.arg.remove.start, event.arg.remove.end};
        listener_.gone(range);
        unwatch(range);  // it is still mapped
      } else if (event.event == UFFD_EVENT_REMAP) {
        listener_.gone({event.arg.remap.from, event.arg.remap.from + event.arg.remap.len});
        // The watch went along to the new place, where nothing is registered.
        unwatch({event.arg.remap.to, event.arg.remap.to + event.arg.remap.len});
      }
    }
  }
}

// From before an unmapping takes effect until its event has been read and its thread goes on, the
// kernel answers EAGAIN to whoever would change protections (mmap_changing in fs/userfaultfd.c). It
// looks at that before it looks at the range, and an empty range is then EINVAL: a question without
// a side effect.
bool MemoryMonitor::calm() const noexcept {
  uffdio_writeprotect nothing{};
  return ::ioctl(faults_.get(), UFFDIO_WRITEPROTECT, &nothing) != 0 && errno == EINVAL;
}

bool MemoryMonitor::settle() noexcept {
  if (calm()) [[likely]]
    return true;
  const Deadline deadline = Deadline::after_ms(kSettleMs);
  while (!deadline.passed()) {
    read_events();
    if (calm()) return true;
    std::this_thread::yield();
  }
  return false;
}

bool MemoryMonitor::watch(PageRange range) noexcept {
  uffdio_register request{};
  request.range = {range.begin, range.bytes()};
  request.mode = UFFDIO_REGISTER_MODE_WP;
  return ::ioctl(faults_.get(), UFFDIO_REGISTER, &request) == 0;
}

// Of memory that is not mapped any more, or is another's by now, nothing is to be undone, and the
// kernel says so. (Before Linux 6.17 it undoes another userfaultfd's watch there. That takes a
// second communicator that got the address between the unmapping and this call, while the first one
// has not read the event: callers settle() first.)
void MemoryMonitor::unwatch(PageRange range) noexcept {
  if (range.begin >= range.end) return;
  uffdio_range request{range.begin, range.bytes()};
  ::ioctl(faults_.get(), UFFDIO_UNREGISTER, &request);
}

// See Documentation/admin-guide/mm/pagemap.rst: a 64-bit word per page.
bool MemoryMonitor::is_private(PageRange range) const noexcept {
  constexpr std::uint64_t kFileOrShared = std::uint64_t{1} << 61;
  std::array<std::uint64_t, 512> words;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::size_t left = range.bytes() / page;
  std::size_t next = range.begin / page;
  while (left > 0) {
    const std::size_t count = std::min(left, words.size());
    const ssize_t bytes = ::pread(pagemap_.get(), words.data(), count * sizeof words[0],
                                  static_cast<off_t>(next * sizeof words[0]));
    if (bytes != static_cast<ssize_t>(count * sizeof words[0])) return false;
    if (std::any_of(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count),
                    [](std::uint64_t word) { return (word & kFileOrShared) != 0; })) {
      return false;
    }
    next += count;
    left -= count;
  }
  return true;
}

}  // namespace tutti::transport::rdma
