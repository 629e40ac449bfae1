// The `tutti` command. Each subcommand is one file that adds itself to the parser.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "commands.h"

namespace {

constexpr int kUsageError = 2;

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Tutti: collective communication for distributed training", "tutti");
  app.set_version_flag("--version", "tutti " TUTTI_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  tutti run -n 4 -- ./train --epochs 3\n"
      "  tutti doctor\n"
      "  tutti topo --format matrix\n"
      "  tutti run --help");
  int exit_code = 0;
  tutti::tools::add_run(app, exit_code);
  tutti::tools::add_doctor(app, exit_code);
  tutti::tools::add_topo(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    const bool asked_for_text = app.exit(failure) == 0;
    return asked_for_text ? 0 : kUsageError;
  }
  return exit_code;
}
