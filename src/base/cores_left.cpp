#include "base/cores_left.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <set>
#include <sstream>
#include <string>

#include "base/cgroup.h"
#include "base/small_files.h"

namespace tutti {
namespace {

int count_cores(const cpu_set_t& cpus, const SmallFiles& files) {
  std::set<std::string> cores;
  int unknown = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &cpus)) continue;
    std::string siblings =
        files.text(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
    if (siblings.empty()) {
      ++unknown;
    } else {
      cores.insert(std::move(siblings));
    }
  }
  return static_cast<int>(cores.size()) + unknown;
}

// Whole CPUs' worth of time that the group has.
std::size_t quota_of(const std::string& group, const SmallFiles& files) {
  std::optional<std::size_t> quota;
  std::optional<std::size_t> period;
  if (files.exists(group + "/cpu.max")) {
    quota = files.number(group + "/cpu.max");  // "200000 100000", or "max 100000"
    std::istringstream text(files.text(group + "/cpu.max"));
    std::string first;
    std::size_t second = 0;
    if (text >> first >> second) period = second;
  } else {
    quota = files.number(group + "/cpu.cfs_quota_us");  // -1: none
    period = files.number(group + "/cpu.cfs_period_us");
  }
  if (!quota || period.value_or(0) == 0) return std::numeric_limits<std::size_t>::max();
  return *quota / *period;
}

}  // namespace

int cores_left(const cpu_set_t& cpus, const std::filesystem::path& root) {
  const SmallFiles files(root);
  auto left = static_cast<std::size_t>(count_cores(cpus, files));
  const Cgroups groups = cgroups_of(files.text("/proc/self/cgroup"), "cpu",
                                    [&](const std::string& path) { return files.exists(path); });
  for (const std::string& group : groups.folders) left = std::min(left, quota_of(group, files));
  return std::max(1, static_cast<int>(left));
}

}  // namespace tutti
