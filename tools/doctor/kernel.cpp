// Settings of the kernel that ranks notice.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "doctor/checks.h"
#include "doctor/process.h"
#include "doctor/rdma_ports.h"
#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::int64_t kPtraceRestricted = 1;
constexpr std::int64_t kPtraceNobody = 3;
constexpr std::string_view kRelease = "/proc/sys/kernel/osrelease";

// Linux 5.11 brought userfaultfd for users without rights.
std::optional<bool> older_than_5_11(std::string_view release) {
  const auto digits = [](std::string_view text) {
    return parse_number(text.substr(0, text.find_first_not_of("0123456789")));
  };
  const std::size_t dot = release.find('.');
  const auto major = digits(release);
  const auto minor = digits(dot == release.npos ? std::string_view() : release.substr(dot + 1));
  if (!major || !minor) return std::nullopt;
  return *major < 5 || (*major == 5 && *minor < 11);
}

}  // namespace

// Copying straight out of another rank's memory (process_vm_readv) needs the right to trace it.
Outcome check_ptrace(const Host& host) {
  Outcome outcome;
  const Look<std::int64_t> scope = host.number("/proc/sys/kernel/yama/ptrace_scope");
  if (scope.absent()) return nothing("the kernel has no Yama: ranks of one user may read others");
  if (!outcome.has(scope)) return outcome;
  outcome.looked_at.push_back(scope.path);
  const bool may = *scope < kPtraceNobody && has_capability(host, Capability::sys_ptrace);
  if (*scope < kPtraceRestricted || may) return outcome;
  outcome.findings.push_back(
      {Severity::warning, "kernel.yama.ptrace_scope",
       fmt::format("is {}: ranks cannot copy out of each other's memory (process_vm_readv), so MPI "
                   "and UCX copy large messages within the host twice",
                   *scope),
       *scope < kPtraceNobody
           ? "`sysctl kernel.yama.ptrace_scope=0`, for good in /etc/sysctl.d; in a container "
             "--cap-add=SYS_PTRACE"
           : "kernel.yama.ptrace_scope=0 in /etc/sysctl.d and a restart: 3 cannot be lowered"});
  return outcome;
}

Outcome check_seccomp(const Host& host) {
  Outcome outcome;
  const Look<std::string> mode = status_of(host, "Seccomp");
  if (!outcome.needs(mode)) return outcome;
  outcome.looked_at.emplace_back("this process");
  if (*mode == "0") return outcome;
  outcome.findings.push_back(
      {Severity::note, "this process",
       fmt::format("runs under a seccomp filter (mode {}); no file tells whether it lets "
                   "process_vm_readv, userfaultfd and mbind pass",
                   in_quotes(*mode)),
       "if copies within the host are slow, compare with docker run --security-opt "
       "seccomp=unconfined, or seccompProfile: Unconfined of the pod"});
  return outcome;
}

Outcome check_userfaultfd(const Host& host) {
  Outcome outcome;
  const Look<std::vector<std::string>> devices = rdma_devices(host);
  if (devices.absent() || (devices.there() && devices->empty())) {
    return nothing("no RDMA device: no registrations to watch");
  }
  const Look<std::string> release = host.text(kRelease);
  if (!outcome.has(devices) || !outcome.needs(release)) return outcome;
  const auto old = older_than_5_11(*release);
  if (!old) {
    outcome.unseen.push_back(fmt::format("{}: {} is no release", kRelease, in_quotes(*release)));
    return outcome;
  }
  outcome.looked_at.emplace_back("kernel");
  if (!*old && host.exists("/proc/sys/vm/unprivileged_userfaultfd")) return outcome;
  outcome.findings.push_back(
      {Severity::warning, "kernel",
       fmt::format("Linux {} {}: RDMA copies large messages instead of sending them from where "
                   "they are",
                   in_quotes(*release),
                   *old ? "is older than 5.11 and has no userfaultfd for users"
                        : "was built without userfaultfd"),
       "a kernel of 5.11 or newer with CONFIG_USERFAULTFD=y"});
  return outcome;
}

// The kernel unmaps pages to see who uses them; collectives touch all of them and pay for each.
Outcome check_numa_balancing(const Host& host) {
  Outcome outcome;
  const Look<std::vector<std::string>> names = host.list("/sys/devices/system/node");
  if (!outcome.has(names) && !names.absent()) return outcome;
  const auto nodes = names.there()
                         ? std::count_if(names->begin(), names->end(),
                                         [](const std::string& name) {
                                           return name.starts_with("node") &&
                                                  parse_number(name.substr(4)).has_value();
                                         })
                         : 0;
  if (nodes < 2) return nothing("one NUMA node");
  const Look<std::int64_t> balancing = host.number("/proc/sys/kernel/numa_balancing");
  if (balancing.absent()) return nothing("the kernel has no automatic NUMA balancing");
  if (!outcome.has(balancing)) return outcome;
  outcome.looked_at.push_back(balancing.path);
  if (*balancing == 0) return outcome;
  outcome.findings.push_back(
      {Severity::warning, "kernel.numa_balancing",
       fmt::format("is {} with {} NUMA nodes: the kernel unmaps pages of the ranks time and "
                   "again to see who uses them",
                   *balancing, nodes),
       "`sysctl kernel.numa_balancing=0`, for good in /etc/sysctl.d"});
  return outcome;
}

Outcome check_huge_pages(const Host& host) {
  Outcome outcome;
  const Look<std::string> enabled = host.text("/sys/kernel/mm/transparent_hugepage/enabled");
  if (enabled.absent()) return nothing("the kernel has no transparent huge pages");
  if (!outcome.has(enabled)) return outcome;
  const std::size_t first = enabled->find('[');
  const std::size_t last = enabled->find(']');
  constexpr std::array<std::string_view, 3> kChoices = {"always", "madvise", "never"};
  const std::string chosen = first < last && last != std::string::npos
                                 ? enabled->substr(first + 1, last - first - 1)
                                 : std::string();
  if (std::find(kChoices.begin(), kChoices.end(), chosen) == kChoices.end()) {
    outcome.unseen.push_back(
        fmt::format("{}: {} names no choice in brackets", enabled.path, in_quotes(*enabled)));
    return outcome;
  }
  outcome.looked_at.push_back(enabled.path);
  if (chosen != "never") return outcome;
  outcome.findings.push_back(
      {Severity::note, "transparent huge pages",
       "are off (never): buffers of the ranks lie in pages of 4 KiB, which cost more look-ups and "
       "longer registrations",
       "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`, for good "
       "transparent_hugepage=madvise on the kernel's command line"});
  return outcome;
}

}  // namespace tutti::doctor
