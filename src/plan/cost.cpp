#include "plan/cost.h"

#include <algorithm>
#include <cmath>

namespace tutti::plan {

double predict_seconds(const CostTerms& terms, std::int64_t bytes, const LinkModel& model) {
  if (bytes <= 0) return 0;
  const double slot_bytes = static_cast<double>(model.slot_bytes);
  const double total = static_cast<double>(bytes);
  const double tiles = std::max(1.0, std::ceil(total * terms.message_fraction / slot_bytes));
  const double tile_bytes = total / tiles;
  const double byte_s = tile_bytes * model.seconds_per_byte;
  const double reduce_s = tile_bytes * model.reduce_seconds_per_byte;
  const double first =
      terms.rounds * model.latency_s + terms.path_bytes * byte_s + terms.path_reduce * reduce_s;
  const double further = terms.port_messages * model.latency_s + terms.port_bytes * byte_s +
                         terms.port_reduce * reduce_s;
  return first + (tiles - 1) * std::max(further, first / model.lanes);
}

}  // namespace tutti::plan
