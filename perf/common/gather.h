// All-gather of small values, made of the all-reduce: each rank adds its own to a vector of zeros.
// Collective; costs one all-reduce of size() elements.
#pragma once

#include <vector>

#include "common/table.h"
#include "tutti/communicator.h"

namespace tutti::perf {

// By rank.
Result<std::vector<double>> gather(Communicator& communicator, double mine);
// Where every rank runs.
Result<std::vector<Device>> gather_devices(Communicator& communicator);

}  // namespace tutti::perf
