#include "transport/rdma/stream.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/error.h"

namespace tutti::transport::rdma {

void Stream::send(const StreamMessage& message) {
  if (!ended_.empty()) return;
  const StreamMessageBytes bytes = encode(message);
  const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  // When the peer is gone the reading side tells why, and a close may be among what it reads.
  const bool refused = sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  if (refused || (sent >= 0 && sent != static_cast<ssize_t>(bytes.size()))) {
    ended_ = "its TCP stream does not take what is sent";
  }
}

std::optional<StreamMessage> Stream::next() {
  while (ended_.empty()) {
    const ssize_t count =
        ::recv(fd_.get(), bytes_.data() + received_, bytes_.size() - received_, MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
    if (count < 0) {
      ended_ = errno == ECONNRESET ? "its process died or was killed (its connection was reset)"
                                   : fmt::format("its connection failed: {}", errno_text(errno));
    } else if (count == 0) {
      ended_ = "its process died or was killed (its connection ended without notice)";
    } else if ((received_ += static_cast<std::size_t>(count)) == bytes_.size()) {
      received_ = 0;
      if (auto message = decode_stream_message(bytes_)) return message;
      ended_ = "it sent what is no message (do the ranks run different versions of Tutti?)";
    }
  }
  return std::nullopt;
}

void Stream::close() {
  (void)::shutdown(fd_.get(), SHUT_WR);
  // Closing a socket with unread bytes resets the connection, and the peer could lose what is still
  // on its way.
  while (::recv(fd_.get(), bytes_.data(), bytes_.size(), MSG_DONTWAIT) > 0) {
  }
  fd_.reset();
}

}  // namespace tutti::transport::rdma
