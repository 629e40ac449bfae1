#include "base/memory_left.h"

#include <algorithm>
#include <string>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/small_files.h"
#include "base/try.h"

namespace tutti {
namespace {

Status check_host(std::size_t bytes, const SmallFiles& files) {
  // What the kernel thinks can be had without swapping.
  const auto left_kib = files.number_of("/proc/meminfo", "MemAvailable:");
  if (!left_kib || bytes <= *left_kib * 1024) return {};
  return error(Code::unavailable,
               "this host has {} bytes of memory left; allocate less or free some",
               *left_kib * 1024);
}

// Memory files count against the group that first touched their pages. The page cache, which a
// group gives back when it is short, is left too: what could be had must not be refused.
Status check_group(std::size_t bytes, const std::string& group, const SmallFiles& files) {
  const bool v2 = files.exists(group + "/memory.max");
  const auto limit = files.number(group + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto used = files.number(group + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !used) return {};  // "max", for one
  std::size_t cache = 0;
  for (const char* const list : {"inactive_file", "active_file"}) {
    const std::string word = (v2 ? "" : "total_") + std::string(list);
    cache += files.number_of(group + "/memory.stat", word).value_or(0);
  }
  const std::size_t kept = *used - std::min(*used, cache);
  const std::size_t left = *limit - std::min(*limit, kept);
  if (bytes <= left) return {};
  return error(Code::unavailable,
               "the control group {} of this process has {} of {} bytes of memory left; allocate "
               "less, or raise the limit (docker run --memory, resources.limits.memory of the "
               "pod, Slurm's --mem)",
               group, left, *limit);
}

}  // namespace

Status check_memory_left(std::size_t bytes, const std::filesystem::path& root) {
  const SmallFiles files(root);
  const Cgroups groups = cgroups_of(files.text("/proc/self/cgroup"), "memory",
                                    [&](const std::string& path) { return files.exists(path); });
  for (const std::string& group : groups.folders) TUTTI_TRY(check_group(bytes, group, files));
  return check_host(bytes, files);
}

}  // namespace tutti
