// What the performance programs tell their caller by their exit code. Plain values; thread-safe.
//
// The codes are part of the interface: docs/perf.md lists them, and scripts depend on them.
#pragma once

#include "tutti/status.h"

namespace tutti::perf {

enum class ExitCode : int {
  ok = 0,
  below_threshold = 1,  // the average bus bandwidth is less than --min-busbw
  usage = 2,            // the command line makes no sense
  environment = 3,      // the environment cannot be used: variables, memory, addresses, files
  timed_out = 4,        // a rank did not answer in time
  wrong_data = 5,       // a result was wrong
  ranks_lost = 6,       // a rank died or left
  internal = 7,         // a bug
};

// The exit code for an error that ended the run.
ExitCode exit_code(const Status& error) noexcept;

}  // namespace tutti::perf
