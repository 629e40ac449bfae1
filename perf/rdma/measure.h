// The two measurements of rdma_perf. Collective: both ranks call with equal arguments; rank 0 has
// the result.
#pragma once

#include <cstdint>

#include "rdma/options.h"
#include "rdma/pair.h"
#include "tutti/status.h"

namespace tutti::perf {

constexpr double kMiB = 1024.0 * 1024.0;

struct Bandwidth {
  double peak_mib_s = 0;     // of the best tenth of the iterations
  double average_mib_s = 0;  // until the receiver has everything
  double messages_per_s = 0;
};
// Streams `iterations` messages of `bytes` each from rank 0 to rank 1, or both ways, without
// filling them; longer ones than a slot go as several.
Result<Bandwidth> measure_bandwidth(RdmaPair& pair, const RdmaOptions& options, std::int64_t bytes,
                                    std::int64_t iterations);

// Half round trips.
struct Latency {
  double min_us = 0;
  double max_us = 0;
  double typical_us = 0;  // the median
  double average_us = 0;
  double deviation_us = 0;
  double p99_us = 0;
  double p999_us = 0;
};
// REQUIRES: bytes fit a slot.
Result<Latency> measure_latency(RdmaPair& pair, const RdmaOptions& options, std::int64_t bytes);

}  // namespace tutti::perf
