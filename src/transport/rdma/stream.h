// The TCP stream of a link: how its two ends agree when a queue pair failed, and how each notices
// that the other process is gone. Idle while all is well. One thread at a time.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/fd.h"
#include "transport/rdma/stream_message.h"

namespace tutti::transport::rdma {

class Stream {
 public:
  Stream() = default;
  explicit Stream(Fd fd) : fd_(std::move(fd)) {}

  // Sends without waiting: a message is far smaller than a socket buffer. A stream that does not
  // take it has failed.
  void send(const StreamMessage& message);
  // The next message that has come, if any. Costs a system call.
  std::optional<StreamMessage> next();
  // The last next() found that the peer's process is gone, or sends what it never would: words.
  const std::string& ended() const { return ended_; }
  // Worth polling for.
  int fd() const { return ended_.empty() ? fd_.get() : -1; }
  // Lets what was sent arrive although the peer may have sent what nobody reads.
  void close();

 private:
  Fd fd_;
  std::array<std::byte, kStreamMessageBytes> bytes_{};
  std::size_t received_ = 0;
  std::string ended_;
};

}  // namespace tutti::transport::rdma
