// Where the ranks meet: "host:port", or "unix:name" for an abstract Unix socket when all ranks run
// on one host. Plain values and factories; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "base/socket.h"
#include "tutti/status.h"

namespace tutti::bootstrap {

// A Unix name that only this user's processes of this launch form. No file, no port that another
// program could hold, and the kernel tells the user id of the other side.
std::string unix_rendezvous(std::string_view source, std::string_view job_id);

class Endpoint {
 public:
  static Result<Endpoint> parse(std::string_view rendezvous);

  // For rank 0: one listener per address family. A loopback host is bound alone; any other host
  // stands for all interfaces, because rank 0's own name may lead to 127.0.1.1 in its /etc/hosts.
  Result<std::vector<Fd>> listen() const;
  // For the others: tries every address of the host once.
  Result<Fd> dial(Deadline deadline) const;
  // False when the other side of a Unix socket belongs to another user; always true for TCP, where
  // only the hello tells.
  bool same_user(const Fd& connection) const;

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::string unix_name_;  // empty for TCP
  HostPort where_;
};

}  // namespace tutti::bootstrap
