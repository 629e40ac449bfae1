#include "compare/cores.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <thread>

namespace tutti::compare {
namespace {

bool pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set) == 0;
}

}  // namespace

std::vector<int> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

Result<double> run_on_cores(int threads, const std::function<double(int, StartLine&)>& work) {
  const std::vector<int> cpus = usable_cpus();
  if (threads > static_cast<int>(cpus.size())) {
    return Status::error(Code::invalid_argument,
                         fmt::format("{} threads cannot work at once on {} CPUs; ask for fewer",
                                     threads, cpus.size()));
  }
  StartLine line(threads);
  std::atomic<bool> pinned = true;
  std::vector<double> results(static_cast<std::size_t>(threads));
  {
    std::vector<std::jthread> running;
    for (int i = 0; i < threads; ++i) {
      running.emplace_back([&, i] {
        const auto place = static_cast<std::size_t>(i);
        if (!pin_to(cpus[place])) pinned = false;
        results[place] = work(i, line);
      });
    }
  }
  if (pinned) return *std::ranges::max_element(results);
  return Status::error(Code::internal, "a thread cannot be pinned to a CPU of this process's set");
}

}  // namespace tutti::compare
