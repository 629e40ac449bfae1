// This process as /proc/self shows it: its limits, its rights, the CPUs that it may use.
#pragma once

#include <cstdint>
#include <limits>
#include <set>
#include <string_view>

#include "doctor/host.h"

namespace tutti::doctor {

inline constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

struct Limit {
  std::uint64_t soft = kUnlimited;
  std::uint64_t hard = kUnlimited;
};

// A line of /proc/self/limits by its first column: "Max locked memory".
Look<Limit> limit_of(const Host& host, std::string_view name);

// What /proc/self/status says behind "name:".
Look<std::string> status_of(const Host& host, std::string_view name);

// The numbers are those of linux/capability.h.
enum class Capability : int { ipc_lock = 14, sys_ptrace = 19 };

// In this process's own user namespace. No when that cannot be told.
bool has_capability(const Host& host, Capability capability);
// Is that the host's own namespace, rather than a rootless container's?
bool in_first_user_namespace(const Host& host);

Look<std::set<int>> allowed_cpus(const Host& host);

}  // namespace tutti::doctor
