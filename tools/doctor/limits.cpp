// Limits that the kernel sets on a process. They are inherited, so it matters where the command
// runs: inside the job they may differ from those of a login.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/cgroup.h"
#include "doctor/checks.h"
#include "doctor/process.h"
#include "doctor/rdma_ports.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

// Queues and slots of a link take 8 MiB, and the caller's buffers are locked while they travel.
constexpr std::uint64_t kLockedBytes = 1 << 30;
// A rank keeps a TCP connection to each peer that it talks to; the program has files of its own.
constexpr std::uint64_t kOpenFiles = 4096;
// Ranks of one host with their threads, and those of OpenMP or a data loader.
constexpr std::uint64_t kProcesses = 4096;
constexpr std::int64_t kProcessesFree = 512;

constexpr const char* kThisProcess = "this process";

std::string limit_text(std::uint64_t limit) {
  return limit == kUnlimited ? "unlimited" : std::to_string(limit);
}

}  // namespace

Outcome check_memlock(const Host& host) {
  Outcome outcome;
  const Look<std::vector<std::string>> devices = rdma_devices(host);
  if (devices.absent() || (devices.there() && devices->empty())) {
    return nothing("no RDMA device: nothing here locks memory");
  }
  const Look<Limit> limit = limit_of(host, "Max locked memory");
  if (!outcome.has(devices) || !outcome.needs(limit)) return outcome;
  outcome.looked_at.emplace_back(kThisProcess);
  const bool set_aside =
      has_capability(host, Capability::ipc_lock) && in_first_user_namespace(host);
  if (limit->soft >= kLockedBytes || set_aside) return outcome;
  outcome.findings.push_back(
      {Severity::error, kThisProcess,
       fmt::format("may lock {} of memory; RDMA locks its queues and the buffers that it sends "
                   "from, and fails above that",
                   bytes_text(limit->soft)),
       "`ulimit -l unlimited`; for logins '* - memlock unlimited' in /etc/security/limits.d; "
       "docker run --ulimit memlock=-1; LimitMEMLOCK=infinity for slurmd"});
  return outcome;
}

Outcome check_open_files(const Host& host) {
  Outcome outcome;
  const Look<Limit> limit = limit_of(host, "Max open files");
  if (!outcome.needs(limit)) return outcome;
  outcome.looked_at.emplace_back(kThisProcess);
  if (limit->soft >= kOpenFiles) return outcome;
  const std::string wanted = std::to_string(std::min<std::uint64_t>(limit->hard, 65536));
  outcome.findings.push_back(
      {Severity::warning, kThisProcess,
       fmt::format("may open {} files (hard limit {}); a rank keeps a connection to each peer, so "
                   "a job of that many ranks fails",
                   limit->soft, limit_text(limit->hard)),
       limit->hard >= kOpenFiles
           ? fmt::format("`ulimit -n {}` in the shell that starts the job", wanted)
           : "'* - nofile 65536' in /etc/security/limits.d; docker run --ulimit nofile=65536; "
             "LimitNOFILE=65536 for slurmd"});
  return outcome;
}

namespace {

void look_at_pids_limit(const Host& host, Outcome& outcome) {
  const std::vector<std::string> groups = cgroups_of(host, "pids", outcome);
  for (const std::string& group : groups) {
    const Look<std::string> most = host.text(group + "/pids.max");
    if (!outcome.has(most)) continue;
    outcome.looked_at.push_back(most.path);
    if (*most == "max") continue;
    const Look<std::int64_t> limit = host.number(most.path);
    const Look<std::int64_t> current = host.number(group + "/pids.current");
    if (!outcome.has(limit) || !outcome.needs(current)) continue;
    if (*limit - *current >= kProcessesFree) continue;
    outcome.findings.push_back(
        {Severity::warning, group,
         fmt::format("this control group has {} of at most {} processes and threads; a rank that "
                     "cannot start its threads fails",
                     *current, *limit),
         "docker run --pids-limit=-1; podPidsLimit of the kubelet; TasksMax=infinity for the "
         "systemd unit"});
  }
}

}  // namespace

Outcome check_processes(const Host& host) {
  Outcome outcome;
  const Look<Limit> limit = limit_of(host, "Max processes");
  if (outcome.needs(limit)) {
    outcome.looked_at.emplace_back(kThisProcess);
    if (limit->soft < kProcesses) {
      outcome.findings.push_back(
          {Severity::warning, kThisProcess,
           fmt::format("its user may have {} processes and threads (hard limit {}), those of all "
                       "jobs on this host together",
                       limit->soft, limit_text(limit->hard)),
           limit->hard >= kProcesses ? "`ulimit -u 65536` in the shell that starts the job"
                                     : "'* - nproc 65536' in /etc/security/limits.d"});
    }
  }
  look_at_pids_limit(host, outcome);
  return outcome;
}

}  // namespace tutti::doctor
