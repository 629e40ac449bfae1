// From the environment to communicators: what happens in a performance program around the
// measuring.
#pragma once

#include <functional>
#include <string_view>

#include "common/options.h"
#include "tutti/communicator.h"

namespace tutti::perf {

// Joins the job that the environment describes with options.threads ranks, calls `measure` on a
// thread for each, and returns the worst exit code. Errors of joining are printed.
ExitCode run_ranks(std::string_view program, const Options& options,
                   const std::function<ExitCode(Communicator&)>& measure);

// Prints why there is nothing to run and returns the exit code of the process. Help and version
// come once, from rank 0; errors come from every rank: a launcher that sees the first of them end
// may end the others before they speak.
int refuse(const Ending& ending);

}  // namespace tutti::perf
