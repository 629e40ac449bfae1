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

// Starts the program in its own process group, with default signals and these variables added. The
// kernel kills it when the calling thread ends (PR_SET_PDEATHSIG). It reads our standard input if
// `with_input`, else nothing. `unavailable` when it cannot be started, with the reason.
Result<Child> start_child(const std::vector<std::string>& command, const Variables& variables,
                          bool with_input);

}  // namespace tutti::tools
