// Identifies a launcher's process among the ancestors of this one. Reads /proc. Thread-safe. Cold.
#pragma once

#include <string>
#include <string_view>

namespace tutti::bootstrap {

// "pid.starttime" of the nearest ancestor whose name (the kernel's, 15 characters at most) is
// `name`: unique on this host until it restarts. Empty when there is none or /proc does not tell.
std::string ancestor_id(std::string_view name);

}  // namespace tutti::bootstrap
