// The control groups that hold this process, of version 2 or 1: what a container, a pod, a Slurm
// step or a systemd unit may use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "doctor/check.h"

namespace tutti::doctor {

// The folders of one controller ("cpu", "memory", "pids") whose limits hold for this process, from
// its own group outwards to the mount. A container sees its own part of them only: limits further
// out hold unseen. Says in `outcome` what could not be looked at.
std::vector<std::string> cgroups_of(const Host& host, std::string_view controller,
                                    Outcome& outcome);

}  // namespace tutti::doctor
