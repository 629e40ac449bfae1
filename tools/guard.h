// Kills process groups when this process is gone, however it ended.
//
// PR_SET_PDEATHSIG reaches the children of a process but not theirs: a rank that is a shell script
// would leave its program behind. The guard is a small process that waits at the end of a pipe; the
// kernel closes the pipe with its owner.
#pragma once

#include <sys/types.h>

#include "base/fd.h"
#include "tutti/status.h"

namespace tutti::tools {

class Guard {
 public:
  static Result<Guard> start();
  Guard(Guard&& other) noexcept;
  Guard& operator=(Guard&&) = delete;
  // Stands down: what was watched is left alone.
  ~Guard();

  void watch(pid_t group);

 private:
  Guard(Fd pipe, pid_t pid) : pipe_(std::move(pipe)), pid_(pid) {}

  Fd pipe_;
  pid_t pid_;
};

}  // namespace tutti::tools
