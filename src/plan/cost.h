// The alpha-beta-gamma cost of a plan (Hockney 1994; Thakur, Rabenseifner and Gropp 2005).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "plan/program.h"

namespace tutti::plan {

// What a message costs between any two ranks. Times are in seconds.
struct LinkModel {
  double latency_s = 1e-6;                 // alpha: per message, whatever its size
  double seconds_per_byte = 1e-10;         // beta
  double reduce_seconds_per_byte = 1e-10;  // gamma: combining one byte
  std::size_t slot_bytes = 128 * 1024;     // the largest message: what sizes a tile
  int lanes = 4;                           // tiles in flight
  // Below this a tile is not worth cutting for the sake of more lanes: each has its own messages.
  std::int64_t tile_bytes_min = 32 * 1024;
};

// What the builder's author claims for one tile of S bytes, the size of one rank's larger buffer
// with all its blocks; tests hold it against the plan itself.
// The first tile takes   rounds * alpha + path_bytes * S * beta + path_reduce * S * gamma   and
// each further one adds the busiest rank's share,
//                        port_messages * alpha + port_bytes * S * beta + port_reduce * S * gamma
// or, when it is more, the first tile's time divided by the lanes.
struct CostTerms {
  double rounds = 0;         // messages one after the other on the critical path
  double path_bytes = 0;     // bytes on that path / S
  double path_reduce = 0;    // bytes combined on that path / S
  double port_messages = 0;  // messages that the busiest rank sends or receives, whichever is more
  double port_bytes = 0;     // bytes of those / S
  double port_reduce = 0;    // bytes that the busiest rank combines / S
  double message_fraction = 1;  // the largest message / S: a tile is slot_bytes / message_fraction
};

// Predicted time for a message of `bytes`, all blocks of one rank's larger buffer.
double predict_seconds(const CostTerms& terms, std::int64_t bytes, const LinkModel& model);

// The time of one tile of `bytes` by running all ranks' programs through the model event by event:
// the truth that the closed forms are tested against. programs[r] is rank r's.
double simulate_seconds(const Shape& shape, std::span<const Program> programs, std::int64_t bytes,
                        const LinkModel& model);

}  // namespace tutti::plan
