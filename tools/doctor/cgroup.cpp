#include "doctor/cgroup.h"

#include <fmt/format.h>

#include <optional>

#include "doctor/words.h"

namespace tutti::doctor {
namespace {

constexpr std::string_view kMount = "/sys/fs/cgroup";

// A line of /proc/self/cgroup: "4:cpu,cpuacct:/user.slice", or "0::/user.slice" of version 2.
struct Membership {
  std::string_view controllers;
  std::string_view path;
};

std::optional<Membership> parse_membership(std::string_view line) {
  const std::size_t first = line.find(':');
  const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
  if (second == std::string_view::npos || !line.substr(second + 1).starts_with('/')) {
    return std::nullopt;
  }
  return Membership{line.substr(first + 1, second - first - 1), line.substr(second + 1)};
}

bool names_controller(std::string_view controllers, std::string_view controller) {
  return fmt::format(",{},", controllers).find(fmt::format(",{},", controller)) !=
         std::string::npos;
}

// Where version 2 is mounted: beside version 1 it has a folder of its own.
std::string unified_mount(const Host& host) {
  const std::string beside = fmt::format("{}/unified", kMount);
  return host.exists(beside) ? beside : std::string(kMount);
}

// The group and those around it, as far as they are seen. Without a namespace of its own, a
// container of version 1 reads the host's path here and sees none of it but the mount itself.
std::vector<std::string> folders(const Host& host, const std::string& mount,
                                 std::string_view path) {
  std::vector<std::string> found;
  while (path.size() > 1) {
    const std::string folder = mount + std::string(path);
    if (host.exists(folder)) found.push_back(folder);
    path = path.substr(0, path.rfind('/'));
  }
  if (host.exists(mount)) found.push_back(mount);
  return found;
}

}  // namespace

std::vector<std::string> cgroups_of(const Host& host, std::string_view controller,
                                    Outcome& outcome) {
  const Look<std::string> file = host.text("/proc/self/cgroup");
  if (!outcome.has(file)) return {};
  std::optional<Membership> unified;
  std::optional<Membership> own;
  for (const std::string_view line : lines(*file)) {
    const auto membership = parse_membership(line);
    if (!membership) {
      outcome.unseen.push_back(
          not_understood<int>(file.path, in_quotes(line) + " is no line of it").trouble());
      return {};
    }
    if (membership->controllers.empty()) unified = membership;
    if (names_controller(membership->controllers, controller)) own = membership;
  }
  std::vector<std::string> found;
  if (own) {
    // Controllers that are mounted together have one folder; links lead from each of the names.
    const std::string alone = fmt::format("{}/{}", kMount, controller);
    const std::string together = fmt::format("{}/{}", kMount, own->controllers);
    found = folders(host, host.exists(alone) ? alone : together, own->path);
  } else if (unified) {
    found = folders(host, unified_mount(host), unified->path);
  }
  if (found.empty() && (own || unified)) {
    outcome.unseen.push_back(fmt::format("{}: the control groups are not mounted there", kMount));
  }
  return found;
}

}  // namespace tutti::doctor
