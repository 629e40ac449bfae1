#include "transport/process_memory.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace tutti::transport {

namespace {

// The kernel moves no more at once than INT_MAX less a page.
constexpr std::size_t kCallBytes = std::size_t{1} << 30;

}  // namespace

Status read_process_memory(pid_t process, void* dst, std::uint64_t address, std::size_t bytes) {
  auto* to = static_cast<std::byte*>(dst);
  while (bytes > 0) {
    const std::size_t want = std::min(bytes, kCallBytes);
    const iovec local{to, want};
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const iovec remote{reinterpret_cast<void*>(address), want};
    const ssize_t got = ::process_vm_readv(process, &local, 1, &remote, 1, 0);
    if (got <= 0) {
      if (got < 0 && errno == EINTR) continue;
      const int reason = got < 0 ? errno : EFAULT;
      return error(reason == ESRCH ? Code::peer_failed : Code::unavailable,
                   "cannot read {} bytes of process {}: {}", bytes, process, errno_text(reason));
    }
    const auto moved = static_cast<std::size_t>(got);
    to += moved;
    address += moved;
    bytes -= moved;
  }
  return {};
}

}  // namespace tutti::transport
