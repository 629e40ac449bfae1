// `tutti run`: starts the ranks of a job on this host, without MPI.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include "binding.h"
#include "commands.h"
#include "local_job.h"

namespace tutti::tools {
namespace {

constexpr int kCannotStart = 127;  // as shells say that a program is not there

// Ranks that cannot be bound run all the same: --bind is about speed.
void bind(JobOptions& options) {
  auto binding = bind_ranks(options.ranks);
  const std::string_view why_not =
      binding.ok() ? std::string_view(binding->why_not) : binding.status().message();
  if (!why_not.empty()) {
    fmt::print(stderr, "tutti run: ranks are not bound to CPUs: {}\n", why_not);
    return;
  }
  options.cpus = std::move(binding->cpus);
}

}  // namespace

void add_run(CLI::App& app, int& exit_code) {
  CLI::App* const command =
      app.add_subcommand("run", "Start the ranks of a job on this host, without MPI");
  const auto options = std::make_shared<JobOptions>();
  const auto no_prefix = std::make_shared<bool>(false);
  command->add_option("-n,--ranks", options->ranks, "How many ranks to start")
      ->required()
      ->check(CLI::Range(1, kRanksMax));
  command->add_flag("--no-prefix", *no_prefix, "Do not put '[rank] ' before each line of output");
  command
      ->add_option("--grace-ms", options->grace_ms,
                   "When a rank fails, how long the others may go on to report it before they are "
                   "ended, in ms")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
  const auto bound = std::make_shared<bool>(false);
  command->add_flag("--bind", *bound,
                    "Let each rank run on its share of the cores alone, beside its GPU if there is "
                    "one (see tutti topo --affinity); not done where ranks would share a core");
  command->add_option("program", options->command, "The program and its arguments, after --")
      ->required();
  command->positionals_at_end();
  command->footer(
      "Each rank gets TUTTI_RANK, TUTTI_SIZE, TUTTI_LOCAL_RANK, TUTTI_LOCAL_SIZE and\n"
      "TUTTI_RENDEZVOUS. Signals go to all ranks; a second SIGINT or SIGTERM ends them at once.\n"
      "Rank 0 reads standard input unless that is a terminal.\n"
      "\n"
      "Exit status: 0 when all ranks succeed, else that of the rank that failed first (128 plus\n"
      "the number when a signal killed it); 2 for wrong usage, 127 when the program cannot be\n"
      "started.\n"
      "\n"
      "Examples:\n"
      "  tutti run -n 4 -- ./train --epochs 3\n"
      "  tutti run -n 2 --no-prefix -- python3 train.py\n"
      "  tutti run -n 8 --bind -- ./train\n"
      "  TUTTI_TRANSPORT=tcp tutti run -n 8 -- ./all_reduce_perf -b 8 -e 64M -f 2");
  command->callback([options, no_prefix, bound, &exit_code] {
    options->prefix = !*no_prefix;
    if (*bound) bind(*options);
    const auto status = run_local_job(*options);
    exit_code = status.ok() ? *status : kCannotStart;
    if (!status.ok()) {
      fmt::print(stderr, "tutti run: {}\n", status.status().message());
    }
  });
}

}  // namespace tutti::tools
