// The subcommands of `tutti`. Each adds its options to the parser, and when it was chosen runs and
// leaves the exit code of the process. Both arguments must outlive the parsing.
#pragma once

#include <CLI/App.hpp>

namespace tutti::tools {

constexpr int kRanksMax = 4096;  // of one host

void add_run(CLI::App& app, int& exit_code);
void add_doctor(CLI::App& app, int& exit_code);
void add_topo(CLI::App& app, int& exit_code);

}  // namespace tutti::tools
