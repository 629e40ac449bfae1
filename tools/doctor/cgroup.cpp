#include "doctor/cgroup.h"

#include <fmt/format.h>

#include "base/cgroup.h"
#include "doctor/words.h"

namespace tutti::doctor {

std::vector<std::string> cgroups_of(const Host& host, std::string_view controller,
                                    Outcome& outcome) {
  const Look<std::string> file = host.text("/proc/self/cgroup");
  if (!outcome.has(file)) return {};
  const Cgroups groups = tutti::cgroups_of(
      *file, controller, [&host](const std::string& path) { return host.exists(path); });
  if (!groups.bad_line.empty()) {
    outcome.unseen.push_back(
        not_understood<int>(file.path, in_quotes(groups.bad_line) + " is no line of it").trouble());
  }
  if (groups.unmounted) {
    outcome.unseen.push_back(
        fmt::format("{}: the control groups are not mounted there", kCgroupMount));
  }
  return groups.folders;
}

}  // namespace tutti::doctor
