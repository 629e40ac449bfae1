// Starting one rank's process.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "tutti/status.h"

namespace tutti::tools {

struct Child {
  pid_t pid = -1;  // also its process group
  Fd output;       // read ends of pipes, non-blocking
  Fd errors;
};

using Variables = std::vector<std::pair<std::string, std::string>>;

struct ChildOptions {
  Variables variables = {};    // added to ours
  bool with_input = false;     // reads our standard input, else nothing
  std::vector<int> cpus = {};  // that it may run on; empty: as we may
};

// Starts the program in its own process group, with default signals. The kernel kills it when the
// calling thread ends (PR_SET_PDEATHSIG). `unavailable` when it cannot be started, with the reason.
Result<Child> start_child(const std::vector<std::string>& command, const ChildOptions& options);

}  // namespace tutti::tools
