// What ranks must agree on before they make plans together, checked once at creation.
#pragma once

#include <sched.h>

#include "transport/card.h"
#include "tutti/bootstrap.h"
#include "tutti/config.h"
#include "tutti/status.h"

#include <vector>

namespace tutti::runtime {

// Collective. Compares the settings that shape plans (transports, algorithm, lanes) and the
// library's version over all ranks: Code::mismatch names the two ranks, their hosts and both
// values. Returns the CPUs that the ranks of this host may use together (the union of their
// affinity masks).
Result<cpu_set_t> agree(Bootstrap& bootstrap, const Config& config,
                        const std::vector<transport::Card>& cards);

}  // namespace tutti::runtime
