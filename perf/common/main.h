// The main function that all performance programs share.
#pragma once

#include "common/benchmark.h"

namespace tutti::perf {

// Reads the options, joins the job that the environment describes, measures, and returns the exit
// code of the process.
int run_main(int argc, char** argv, const Benchmark& benchmark);

}  // namespace tutti::perf
