// The CPUs that each rank of a local job is bound to.
#pragma once

#include <string>
#include <vector>

#include "tutti/status.h"

namespace tutti::tools {

struct Binding {
  std::vector<std::vector<int>> cpus = {};  // of each rank; empty: ranks are better left alone
  std::string why_not = {};
};

// By the affinity of this machine's GPUs and NUMA nodes, among the CPUs that this process may use.
// Ranks that would share cores are not bound: the kernel spreads them better. Blocking, some ms.
Result<Binding> bind_ranks(int ranks);

}  // namespace tutti::tools
