#include "common/parsed.h"

#include <fmt/format.h>

namespace tutti::perf {

Ending rejected(std::string_view program, std::string_view why) {
  return {ExitCode::usage, fmt::format("{}: {}\nTry {} --help.\n", program, why, program)};
}

std::string version_text() {
  return "tutti-tests version " TUTTI_VERSION;
}

}  // namespace tutti::perf
