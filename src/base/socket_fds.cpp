// Descriptors over Unix sockets (SCM_RIGHTS, unix(7)).
#include <poll.h>

#include <array>
#include <cassert>
#include <cstring>

#include "base/error.h"
#include "base/socket.h"

namespace tutti {
namespace {

// The kernel's SCM_MAX_FD is 253.
constexpr std::size_t kFdsMax = 250;

// A one-byte message with room for descriptors. The kernel points into it: it may not move.
struct FdMessage {
  FdMessage() {
    header.msg_iov = &payload;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
  }
  FdMessage(const FdMessage&) = delete;
  FdMessage& operator=(const FdMessage&) = delete;

  char byte = 'f';
  iovec payload{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdsMax * sizeof(int))> control{};
  msghdr header{};
};

std::vector<Fd> take_fds(msghdr& header) {
  std::vector<Fd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Status send_fds(const Fd& fd, std::span<const int> fds, Deadline deadline) {
  assert(!fds.empty() && fds.size() <= kFdsMax);
  FdMessage message;
  message.header.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* const part = CMSG_FIRSTHDR(&message.header);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
  while (::sendmsg(fd.get(), &message.header, MSG_NOSIGNAL) != 1) {
    if (errno == EPIPE || errno == ECONNRESET) {
      return error(Code::peer_failed,
                   "the other side closed the connection before {} descriptors were sent: {}",
                   fds.size(), errno_text(errno));
    }
    if (errno != EAGAIN && errno != EINTR) {
      return error(Code::unavailable, "cannot send {} descriptors: {}", fds.size(),
                   errno_text(errno));
    }
    if (!wait_for(fd, POLLOUT, deadline)) {
      return error(Code::timed_out, "the deadline passed before {} descriptors were sent",
                   fds.size());
    }
  }
  return {};
}

Result<std::vector<Fd>> recv_fds(const Fd& fd, std::size_t count, Deadline deadline) {
  assert(count > 0 && count <= kFdsMax);
  FdMessage message;
  ssize_t got = 0;
  while ((got = ::recvmsg(fd.get(), &message.header, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == ECONNRESET) break;
    if (errno != EAGAIN && errno != EINTR) {
      return error(Code::unavailable, "cannot receive {} descriptors: {}", count,
                   errno_text(errno));
    }
    if (!wait_for(fd, POLLIN, deadline)) {
      return error(Code::timed_out, "the deadline passed before {} descriptors came", count);
    }
  }
  if (got <= 0) {
    return error(Code::peer_failed,
                 "the other side closed the connection before {} descriptors came", count);
  }
  std::vector<Fd> fds = take_fds(message.header);
  // The kernel drops what goes over this process's limit and says so in MSG_CTRUNC.
  if (fds.size() != count) {
    return error(Code::unavailable,
                 "{} of {} descriptors came; raise the limit of open files (ulimit -n)", fds.size(),
                 count);
  }
  return fds;
}

}  // namespace tutti
