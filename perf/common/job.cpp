#include "common/job.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/try.h"
#include "common/session.h"

namespace tutti::perf {
namespace {

std::string host_name() {
  char text[256] = {};
  return ::gethostname(text, sizeof(text) - 1) == 0 ? text : "this host";
}

// This process's place among the processes, and one bootstrap for each of its ranks.
struct Job {
  Config config;
  World processes;
  World first_rank;  // of the ranks that this process runs
};

Result<Job> find_job(const Options& options) {
  Job job;
  TUTTI_TRY_ASSIGN(job.config, Config::from_env());
  if (options.timeout_s > 0) {
    job.config.timeout_ms = static_cast<std::int64_t>(options.timeout_s * 1000);
  }
  TUTTI_TRY_ASSIGN(job.processes, world_from_env(job.config));
  job.first_rank = job.processes;
  job.first_rank.rank *= options.threads;
  job.first_rank.size *= options.threads;
  job.first_rank.local_rank *= options.threads;
  job.first_rank.local_size *= options.threads;
  return job;
}

// Collective over the threads and the processes.
Result<Communicator> join(const Job& job, const World& world,
                          const std::unique_ptr<Bootstrap>& in_process) {
  if (in_process) return Communicator::create(*in_process, job.config);
  TUTTI_TRY_ASSIGN(auto bootstrap, bootstrap_tcp(world, job.config));
  return Communicator::create(*bootstrap, job.config);
}

bool speaks_for_all() {
  const auto config = Config::from_env();
  if (!config.ok()) return true;
  const auto world = world_from_env(*config);
  return !world.ok() || world->rank == 0;
}

}  // namespace

ExitCode run_ranks(std::string_view program, const Options& options,
                   const std::function<ExitCode(Communicator&)>& measure) {
  const auto job = find_job(options);
  if (!job.ok()) {
    print_error(program, host_name(), job.status());
    return exit_code(job.status());
  }
  const auto threads = static_cast<std::size_t>(options.threads);
  // One process alone needs no network.
  std::vector<std::unique_ptr<Bootstrap>> bootstraps(threads);
  if (job->processes.size == 1) bootstraps = bootstrap_in_process(options.threads, job->config);
  std::vector<ExitCode> codes(threads);
  const auto run_thread = [&](std::size_t i) {
    World world = job->first_rank;
    world.rank += static_cast<int>(i);
    world.local_rank += static_cast<int>(i);
    auto communicator = join(*job, world, bootstraps[i]);
    if (!communicator.ok()) {
      print_error(program, whereabouts(world.rank, host_name()), communicator.status());
      codes[i] = exit_code(communicator.status());
      return;
    }
    codes[i] = measure(*communicator);
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back(run_thread, i);
  run_thread(0);
  for (std::thread& other : others) other.join();
  return *std::max_element(codes.begin(), codes.end());
}

int refuse(const Ending& ending) {
  const bool failed = ending.code != ExitCode::ok;
  if (failed || speaks_for_all()) std::fputs(ending.text.c_str(), failed ? stderr : stdout);
  return static_cast<int>(ending.code);
}

}  // namespace tutti::perf
