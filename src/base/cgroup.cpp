#include "base/cgroup.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace tutti {
namespace {

using Exists = std::function<bool(const std::string&)>;

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
std::string unified_mount(const Exists& exists) {
  const std::string beside = fmt::format("{}/unified", kCgroupMount);
  return exists(beside) ? beside : std::string(kCgroupMount);
}

// Controllers that are mounted together have one folder; links lead from each of the names.
std::string mount_of(std::string_view controller, std::string_view together, const Exists& exists) {
  const std::string alone = fmt::format("{}/{}", kCgroupMount, controller);
  return exists(alone) ? alone : fmt::format("{}/{}", kCgroupMount, together);
}

// The group and those around it, as far as they are seen. Without a namespace of its own, a
// container of version 1 reads the host's path here and sees none of it but the mount itself.
std::vector<std::string> folders(const std::string& mount, std::string_view path,
                                 const Exists& exists) {
  std::vector<std::string> found;
  while (path.size() > 1) {
    const std::string folder = mount + std::string(path);
    if (exists(folder)) found.push_back(folder);
    path = path.substr(0, path.rfind('/'));
  }
  if (exists(mount)) found.push_back(mount);
  return found;
}

}  // namespace

Cgroups cgroups_of(std::string_view memberships, std::string_view controller,
                   const Exists& exists) {
  std::optional<Membership> unified;
  std::optional<Membership> own;
  while (!memberships.empty()) {
    const std::string_view line = memberships.substr(0, memberships.find('\n'));
    memberships.remove_prefix(std::min(line.size() + 1, memberships.size()));
    const auto membership = parse_membership(line);
    if (!membership) return {.folders = {}, .bad_line = std::string(line)};
    if (membership->controllers.empty()) unified = membership;
    if (names_controller(membership->controllers, controller)) own = membership;
  }
  Cgroups found;
  if (own) {
    found.folders = folders(mount_of(controller, own->controllers, exists), own->path, exists);
  } else if (unified) {
    found.folders = folders(unified_mount(exists), unified->path, exists);
  }
  found.unmounted = found.folders.empty() && (own || unified);
  return found;
}

}  // namespace tutti
