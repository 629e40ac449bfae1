// The map of the machine that this runs on, from sysfs and, for NVLink, NVIDIA's NVML.
//
// sysfs tells all but NVLink: packages to cores, the PCI tree with link speeds now and at most,
// RDMA devices with rate, link layer, state and kinds of GIDs, network devices with MTU. NVML is
// loaded when it is there. What could not be looked at, and why, is in Graph::notes.
//
// Why not libhwloc: docs/decisions says. Blocking; a few milliseconds.
#pragma once

#include <string>
#include <vector>

#include "topology/graph.h"

namespace tutti::topology {

struct LiveSources {
  std::string root = "/";                  // sys and proc are below; tests have made-up ones
  std::string nvml = "libnvidia-ml.so.1";  // for dlopen; empty: NVML is not asked
};

Result<Graph> load_live(const LiveSources& sources);

// The CPUs that this process may use, ascending; empty if the root does not tell.
std::vector<int> allowed_cpus(const std::string& root);

}  // namespace tutti::topology
