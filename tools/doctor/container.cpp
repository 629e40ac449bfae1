// What a container, a pod or a batch step lets this process use of the host.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "doctor/cgroup.h"
#include "doctor/checks.h"
#include "doctor/process.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::int64_t kMemoryLeftBytes = 1LL << 30;
// Version 1 writes "no limit" as the largest number of whole pages.
constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max() >> 16 << 16;

struct Quota {
  double cpus;
  std::string path;
};

// CPUs' worth of time per time, of one group; none without a limit.
std::optional<Quota> quota_of(const Host& host, const std::string& group, Outcome& outcome) {
  const Look<std::string> v2 = host.text(group + "/cpu.max");
  std::string quota;
  std::string period;
  std::string path = v2.path;
  if (outcome.has(v2)) {
    const auto parts = words(*v2);
    quota = parts.empty() ? "" : parts[0];
    period = parts.size() < 2 ? "" : parts[1];
  } else {
    const Look<std::string> v1 = host.text(group + "/cpu.cfs_quota_us");
    const Look<std::string> v1_period = host.text(group + "/cpu.cfs_period_us");
    if (!outcome.has(v1) || !outcome.needs(v1_period)) return std::nullopt;
    path = v1.path;
    quota = *v1;
    period = *v1_period;
  }
  outcome.looked_at.push_back(path);
  if (quota == "max" || quota == "-1") return std::nullopt;
  const auto quota_us = parse_number(quota);
  const auto period_us = parse_number(period);
  if (!quota_us || !period_us || *quota_us <= 0 || *period_us <= 0) {
    outcome.unseen.push_back(
        fmt::format("{}: {} is no quota", path, in_quotes(fmt::format("{} {}", quota, period))));
    return std::nullopt;
  }
  return Quota{static_cast<double>(*quota_us) / static_cast<double>(*period_us), path};
}

// " and was stopped for it 12 times so far"
std::string throttled_text(const Host& host, const std::string& group) {
  const Look<std::string> stat = host.text(group + "/cpu.stat");
  if (!stat.there()) return "";
  for (const std::string_view line : lines(*stat)) {
    const auto parts = words(line);
    if (parts.size() == 2 && parts[0] == "nr_throttled" && parts[1] != "0") {
      return fmt::format(" and was stopped for it {} times so far", in_quotes(parts[1]));
    }
  }
  return "";
}

// NUMA nodes that have CPUs for this process, but no memory.
std::vector<std::string> nodes_without_memory(const Host& host, const std::set<int>& cpus,
                                              const std::set<int>& memory_nodes, Outcome& outcome) {
  constexpr std::string_view kNodes = "/sys/devices/system/node";
  std::vector<std::string> without;
  const auto names = host.list(kNodes);
  if (!outcome.has(names)) return without;
  for (const std::string& name : *names) {
    const auto node = name.starts_with("node") ? parse_number(name.substr(4)) : std::nullopt;
    if (!node) continue;
    const Look<std::string> list = host.text(fmt::format("{}/{}/cpulist", kNodes, name));
    if (!outcome.needs(list)) continue;
    const auto of_node = parse_set(*list);
    if (!of_node)
      outcome.unseen.push_back(list.path + ": " + in_quotes(*list) + " is no set of CPUs");
    const bool has_memory = memory_nodes.count(static_cast<int>(*node)) != 0;
    if (of_node && !has_memory && std::any_of(of_node->begin(), of_node->end(), [&](int cpu) {
          return cpus.count(cpu) != 0;
        })) {
      without.push_back(name);
    }
  }
  return without;
}

}  // namespace

// A rank that waits for its peers spins; with less time than CPUs, the kernel stops the whole
// group for the rest of each period, and every rank of the job waits for that one.
Outcome check_cpu_quota(const Host& host) {
  Outcome outcome;
  const Look<std::set<int>> allowed = allowed_cpus(host);
  if (!outcome.needs(allowed)) return outcome;
  for (const std::string& group : cgroups_of(host, "cpu", outcome)) {
    const auto quota = quota_of(host, group, outcome);
    if (!quota || quota->cpus >= static_cast<double>(allowed->size())) continue;
    outcome.findings.push_back(
        {Severity::warning, group,
         fmt::format("gets the time of {:.4g} CPUs, but sees {}{}", quota->cpus, allowed->size(),
                     throttled_text(host, group)),
         "give whole CPUs instead: docker run --cpuset-cpus in place of --cpus; in Kubernetes "
         "equal integer requests and limits with the static CPU manager"});
  }
  if (outcome.looked_at.empty()) outcome.nothing_here = "no control group limits the time of CPUs";
  return outcome;
}

Outcome check_cpu_set(const Host& host) {
  Outcome outcome;
  const Look<std::set<int>> allowed = allowed_cpus(host);
  const Look<std::string> online_text = host.text("/sys/devices/system/cpu/online");
  const Look<std::string> memory_text = status_of(host, "Mems_allowed_list");
  if (!outcome.needs(allowed) || !outcome.needs(online_text) || !outcome.needs(memory_text)) {
    return outcome;
  }
  const auto online = parse_set(*online_text);
  const auto memory_nodes = parse_set(*memory_text);
  if (!online || !memory_nodes) {
    const auto& broken = online ? memory_text : online_text;
    outcome.unseen.push_back(fmt::format("{}: {} is no set", broken.path, in_quotes(*broken)));
    return outcome;
  }
  outcome.looked_at.emplace_back("this process");
  if (allowed->size() < online->size()) {
    const Look<std::string> names = status_of(host, "Cpus_allowed_list");
    outcome.findings.push_back(
        {Severity::note, "this process",
         fmt::format("may use {} of the {} CPUs: {}", allowed->size(), online->size(), *names),
         "start no more ranks here than these CPUs, or widen the set: --cpuset-cpus, Slurm's "
         "--cpus-per-task, mpirun --bind-to none"});
  }
  const auto without = nodes_without_memory(host, *allowed, *memory_nodes, outcome);
  if (!without.empty()) {
    outcome.findings.push_back(
        {Severity::warning, some_of(without),
         fmt::format("this process has CPUs there, but memory of node {} only: each access "
                     "crosses to another socket",
                     *memory_text),
         "make both sets agree: --cpuset-mems with --cpuset-cpus, or cpuset.mems of the group"});
  }
  return outcome;
}

namespace {

// What the files of one group's memory say; none without a limit.
struct MemoryUse {
  std::int64_t limit;
  std::int64_t used;  // without the page cache that the kernel gives back
};

std::optional<MemoryUse> memory_use(const Host& host, const std::string& group, Outcome& outcome) {
  const bool v2 = host.exists(group + "/memory.max");
  const Look<std::string> most = host.text(group + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
  if (!outcome.has(most)) return std::nullopt;
  outcome.looked_at.push_back(most.path);
  if (*most == "max") return std::nullopt;
  const Look<std::int64_t> limit = host.number(most.path);
  if (!outcome.has(limit) || *limit >= kNoLimit) return std::nullopt;
  const Look<std::int64_t> used =
      host.number(group + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!outcome.needs(used)) return std::nullopt;
  MemoryUse use{*limit, *used};
  const Look<std::string> stat = host.text(group + "/memory.stat");
  for (const std::string_view line : stat.there() ? lines(*stat) : lines("")) {
    const auto parts = words(line);
    if (parts.size() == 2 && parts[0] == (v2 ? "inactive_file" : "total_inactive_file")) {
      use.used -= std::clamp<std::int64_t>(parse_number(parts[1]).value_or(0), 0, use.used);
    }
  }
  return use;
}

void look_at_host_memory(const Host& host, Outcome& outcome) {
  const Look<std::string> info = host.text("/proc/meminfo");
  if (!outcome.needs(info)) return;
  for (const std::string_view line : lines(*info)) {
    const auto parts = words(line);
    if (parts.size() < 2 || parts[0] != "MemAvailable:") continue;
    const auto available_kib = parse_number(parts[1]);
    if (!available_kib || *available_kib < 0) break;
    outcome.looked_at.push_back(info.path);
    const std::uint64_t available = static_cast<std::uint64_t>(*available_kib) << 10;
    if (available >= kMemoryLeftBytes) return;
    outcome.findings.push_back(
        {Severity::warning, "memory",
         fmt::format("{} are available; the kernel ends a process when they run out",
                     bytes_text(available)),
         "end what uses it (`ps --sort -rss aux`), or start fewer ranks on this host"});
    return;
  }
  outcome.unseen.push_back(info.path + ": has no line 'MemAvailable:' with a number");
}

}  // namespace

// Shared memory counts against the group that first touched it.
Outcome check_memory(const Host& host) {
  Outcome outcome;
  look_at_host_memory(host, outcome);
  for (const std::string& group : cgroups_of(host, "memory", outcome)) {
    const auto use = memory_use(host, group, outcome);
    if (!use || use->limit - use->used >= kMemoryLeftBytes) continue;
    outcome.findings.push_back(
        {Severity::warning, group,
         fmt::format("has {} of {} left; a process that needs more is killed",
                     bytes_text(static_cast<std::uint64_t>(
                         std::max<std::int64_t>(use->limit - use->used, 0))),
                     bytes_text(static_cast<std::uint64_t>(std::max<std::int64_t>(use->limit, 0)))),
         "raise the limit: docker run --memory, resources.limits.memory of the pod, Slurm's "
         "--mem"});
  }
  return outcome;
}

}  // namespace tutti::doctor
