// A job whose ranks are processes of this host, watched from start to end.
#pragma once

#include <string>
#include <vector>

#include "tutti/status.h"

namespace tutti::tools {

struct JobOptions {
  int ranks = 0;
  bool prefix = true;
  int grace_ms = 2'000;
  std::vector<std::string> command;
  std::vector<std::vector<int>> cpus;  // of each rank; empty: they are not bound
};

// Blocks until every rank has ended and returns the exit status that the job stands for. Nothing
// that it started outlives it. Takes over the signals and children of the process: call it once,
// from the only thread.
Result<int> run_local_job(const JobOptions& options);

}  // namespace tutti::tools
