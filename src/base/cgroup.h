// The control groups that hold this process, of version 2 or 1: what a container, a pod, a Slurm
// step or a systemd unit may use. Pure: files are looked at by the caller. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tutti {

struct Cgroups {
  // Whose limits hold, from the process's own group outwards to the mount. A container sees its own
  // part of them only: limits further out hold unseen.
  std::vector<std::string> folders;
  bool unmounted = false;  // there are groups, and no folder of them is seen
  std::string bad_line;    // of the text, that is none of its kind; nothing else is set then
};

inline constexpr std::string_view kCgroupMount = "/sys/fs/cgroup";

// The groups of one controller ("cpu", "memory", "pids"). `memberships` is the text of
// /proc/self/cgroup; `exists` says whether there is a folder.
Cgroups cgroups_of(std::string_view memberships, std::string_view controller,
                   const std::function<bool(const std::string& path)>& exists);

}  // namespace tutti
