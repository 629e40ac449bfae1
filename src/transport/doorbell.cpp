#include "transport/doorbell.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace tutti::transport {

Result<Fd> make_doorbell() {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) {
    return error(Code::unavailable,
                 "cannot create an eventfd: {}; raise the limit of open files (ulimit -n)",
                 errno_text(errno));
  }
  return fd;
}

bool register_far_fences() noexcept {
#ifdef TUTTI_THREAD_SANITIZER
  return false;
#else
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
#endif
}

void far_fence() noexcept {
  // Should it ever fail, the bound of each sleep finds the work.
  (void)::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

void write_doorbell(int doorbell) noexcept {
  const std::uint64_t one = 1;
  // It fails only when the counter is full: then the doorbell is ringing already.
  while (::write(doorbell, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void sleep_at_doorbell(int doorbell, std::span<pollfd> fds, int timeout_ms,
                       std::vector<pollfd>& scratch) noexcept {
  scratch.assign(1, {doorbell, POLLIN, 0});
  scratch.insert(scratch.end(), fds.begin(), fds.end());
  // A signal ends the sleep early; the caller looks again in any case.
  if (::poll(scratch.data(), scratch.size(), timeout_ms) < 0) {
    for (pollfd& fd : scratch) fd.revents = 0;
  }
  std::transform(scratch.begin() + 1, scratch.end(), fds.begin(), fds.begin(),
                 [](const pollfd& polled, pollfd fd) {
                   fd.revents = polled.revents;
                   return fd;
                 });
  if ((scratch.front().revents & POLLIN) != 0) {
    std::uint64_t rings = 0;
    // Reading sets the counter to zero; EAGAIN means that it was already.
    (void)!::read(doorbell, &rings, sizeof rings);
  }
}

}  // namespace tutti::transport
