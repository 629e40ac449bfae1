// What the command lines of the performance programs have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/exit_code.h"
#include "common/sizes.h"

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

// The text turned into bytes, "8", "4K", "1.5M", or refused in words.
CLI::Validator size_in_bytes();
// An option that takes a size. `shown` is the default as --help shows it.
void add_size(CLI::App& app, const char* names, std::int64_t& bytes, const char* what,
              const char* shown);
// An option that takes a number of iterations, from `low` to 1e9.
void add_count(CLI::App& app, const char* names, std::int64_t& count, std::int64_t low,
               const char* what);
// -t: ranks as threads.
void add_threads(CLI::App& app, int& threads);
// What is wrong with the two ends of a sweep; empty when nothing is.
std::string backwards(const Sweep& sweep);

// Scripts append options to change those before, as getopt allows. Before options are added.
void let_the_last_win(CLI::App& app);
// Reads the arguments into what was added to `app`; how it ends, if it does.
std::optional<Ending> read(CLI::App& app, const std::vector<std::string>& arguments);

// "tutti-tests version 0.1.0"
std::string version_text();

}  // namespace tutti::perf
