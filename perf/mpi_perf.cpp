// mpi_perf: Open MPI's (or another MPI's) collectives, measured and checked exactly as our own
// performance programs measure ours: the same options, buffers, data, clock and table.

#include <fmt/format.h>
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "common/job.h"
#include "common/session.h"
#include "mpi/benchmark.h"

namespace tutti::perf {
namespace {

constexpr const char* kProgram = "mpi_perf";

// What comes before the options that all programs have.
struct Choice {
  const Counterpart* counterpart = nullptr;
  std::vector<std::string> rest;
  Ending refusal;  // without a counterpart
};

Choice choose(const std::vector<std::string>& arguments) {
  std::string name = "all_reduce";
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_option("--collective", name)->check(CLI::IsMember(counterpart_names()));
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& failure) {
    return {nullptr, {}, rejected(kProgram, failure.what())};
  }
  return {find_counterpart(name), app.remaining(), {}};
}

std::string help() {
  return fmt::format(
      "{} --collective NAME [OPTIONS]: a collective of MPI, measured as ours are; start it with "
      "mpirun.\nNAME is one of {} [all_reduce].\nThe other options:\n\n",
      kProgram, fmt::join(counterpart_names(), ", "));
}

// The options that every program has, less what MPI cannot do.
ParsedOptions parse(const std::vector<std::string>& arguments, const Options& defaults) {
  ParsedOptions parsed = parse_options(kProgram, arguments, defaults);
  const auto refused = [](const char* why) {
    return Ending{ExitCode::usage, fmt::format("{}: {}\n", kProgram, why)};
  };
  if (!parsed.options) {
    if (parsed.text.find("Usage:") != std::string::npos) parsed.text.insert(0, help());
    return parsed;
  }
  if (parsed.options->threads > 1) {
    return refused("--nthreads must be 1: a rank of MPI is a process; start more with mpirun -n");
  }
  if (parsed.options->aggregated_iterations > 1) {
    return refused("--agg_iters must be 1: the calls of MPI that are measured are blocking ones");
  }
  if (parsed.options->timeout_s > 0) {
    return refused("--timeout must be 0: MPI's calls wait for ever; use mpirun --timeout");
  }
  if (parsed.options->memory != MemoryKind::own) {
    return refused("--memory must be private: the communicator's memory is nothing to MPI");
  }
  return parsed;
}

// Do MPI and Tutti see the same job?
Status check_world(const Communicator& communicator) {
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (rank == communicator.rank() && size == communicator.size()) return {};
  return error(Code::invalid_environment,
               "MPI sees rank {} of {}, Tutti rank {} of {}; start {} with mpirun", rank, size,
               communicator.rank(), communicator.size(), kProgram);
}

// MPI between its two calls. Initialized only after Tutti has found its place in the job, since MPI
// adds variables to the environment when no mpirun did.
class Mpi {
 public:
  Mpi() {
    int provided = 0;
    // Tutti has threads of its own, which never call MPI.
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  }
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;
  ~Mpi() { MPI_Finalize(); }
};

int run_mpi(const std::vector<std::string>& arguments) {
  const Choice choice = choose(arguments);
  if (choice.counterpart == nullptr) return refuse(choice.refusal);
  const MpiBenchmark benchmark(*choice.counterpart);
  const ParsedOptions parsed = parse(choice.rest, benchmark.defaults());
  if (!parsed.options) return refuse({parsed.code, parsed.text});
  return static_cast<int>(run_ranks(kProgram, *parsed.options, [&](Communicator& communicator) {
    const Mpi mpi;
    const Status same = check_world(communicator);
    if (same.ok()) return Session(communicator, benchmark, *parsed.options, arguments).run();
    const int rank = communicator.rank();
    print_error(kProgram, whereabouts(rank, communicator.host(rank)), same);
    return exit_code(same);
  }));
}

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  return tutti::perf::run_mpi(std::vector<std::string>(argv + 1, argv + argc));
}
