// What the command lines of the performance programs have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/parsed.h"
#include "common/sizes.h"

namespace tutti::perf {

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

}  // namespace tutti::perf
