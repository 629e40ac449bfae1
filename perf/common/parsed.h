// What comes out of reading a command line. Apart from command_line.h, so that who uses options
// does not compile the library that reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/exit_code.h"

namespace tutti::perf {

// A text to print instead of running: help or version on standard output with ExitCode::ok, an
// explanation on standard error with ExitCode::usage.
struct Ending {
  ExitCode code = ExitCode::ok;
  std::string text;
};

// Options to run with, or how it ends without.
template <typename Options>
struct Parsed {
  std::optional<Options> options;
  ExitCode code = ExitCode::ok;
  std::string text;

  Parsed(Options read) : options(std::move(read)) {}                 // NOLINT
  Parsed(Ending end) : code(end.code), text(std::move(end.text)) {}  // NOLINT
};

// "program: why\nTry program --help.\n"
Ending rejected(std::string_view program, std::string_view why);

// "tutti-tests version 0.1.0"
std::string version_text();

}  // namespace tutti::perf
