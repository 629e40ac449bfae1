// One connection of the control tree: messages in and out of a socket, without ever waiting.
//
// Lifetime: owns its socket and gives it back when the other side has ended the stream. Not
// thread-safe: the mutex of the tree guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "runtime/control_message.h"

namespace tutti::runtime::control {

class Link {
 public:
  // `ranks_beyond` counts the ranks on the far side, the peer included; `size` all ranks.
  Link(int peer, int ranks_beyond, int size, Fd fd);

  int peer() const { return peer_; }
  int ranks_beyond() const { return ranks_beyond_; }
  // For poll(); -1 once the stream has ended.
  int fd() const { return fd_.get(); }
  bool open() const { return fd_.valid(); }
  // Has output that the socket did not take yet.
  bool backed_up() const { return !out_.empty(); }
  Clock::time_point last_heard() const { return last_heard_; }

  // Queues the message and writes what the socket takes. Dropped once finish() was called or the
  // peer takes no more; why it does not is learnt by receive(), which first gets the peer's last
  // words.
  void send(const Message& message);
  void flush();
  // Nothing more will be said: ends the outgoing stream after what is queued. Closing while data of
  // the peer is unread would make TCP reset the connection and may lose what was said last.
  void finish();

  // What has arrived. Garbage is told once; what follows it is read and thrown away, until the
  // stream is closed. `reason` says in words how it ended.
  struct Arrival {
    std::vector<Message> messages;
    enum class End { none, closed, garbage } end = End::none;
    std::string reason;
  };
  Arrival receive();

  // What the peer has said about itself, kept by the tree.
  Heartbeat progress;
  std::optional<Echo> echo;  // of the last query that it has read
  bool peer_departed = false;
  int departed_beyond = 0;

 private:
  void parse(Arrival& arrival);

  int peer_;
  int ranks_beyond_;
  Fd fd_;
  FrameReader in_;
  std::vector<std::byte> out_;
  bool finishing_ = false;
  bool shut_ = false;     // the outgoing stream has ended
  bool garbled_ = false;  // the incoming stream makes no sense any more
  Clock::time_point last_heard_ = Clock::now();
};

}  // namespace tutti::runtime::control
