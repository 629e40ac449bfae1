#include "common/main.h"

#include <string>
#include <vector>

#include "common/job.h"
#include "common/session.h"

namespace tutti::perf {

int run_main(int argc, char** argv, const Benchmark& benchmark) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const ParsedOptions parsed =
      parse_options(std::string(benchmark.program()), arguments, benchmark.defaults());
  if (!parsed.options) return refuse({parsed.code, parsed.text});
  return static_cast<int>(
      run_ranks(benchmark.program(), *parsed.options, [&](Communicator& communicator) {
        return Session(communicator, benchmark, *parsed.options, arguments).run();
      }));
}

}  // namespace tutti::perf
