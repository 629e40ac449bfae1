#include "collectives/algorithms.h"

#include <array>

#include "collectives/builders.h"

namespace tutti::collectives {
namespace {

using plan::Kind;

constexpr std::array kAlgorithms = {
    Algorithm{Kind::all_reduce, "ring", ring_all_reduce, ring_all_reduce_cost},
    Algorithm{Kind::all_reduce, "double_binary_tree", double_binary_tree_all_reduce,
              double_binary_tree_all_reduce_cost},
    Algorithm{Kind::all_reduce, "recursive_doubling", recursive_doubling_all_reduce,
              recursive_doubling_all_reduce_cost},
    Algorithm{Kind::all_reduce, "halving_doubling", halving_doubling_all_reduce,
              halving_doubling_all_reduce_cost},
    Algorithm{Kind::all_reduce, "direct", direct_all_reduce, direct_all_reduce_cost},
    Algorithm{Kind::broadcast, "binomial", binomial_broadcast, binomial_broadcast_cost},
    Algorithm{Kind::broadcast, "chain", chain_broadcast, chain_broadcast_cost},
    Algorithm{Kind::broadcast, "double_binary_tree", double_binary_tree_broadcast,
              double_binary_tree_broadcast_cost},
    Algorithm{Kind::broadcast, "scatter_all_gather", scatter_all_gather_broadcast,
              scatter_all_gather_broadcast_cost},
    Algorithm{Kind::broadcast, "flat", flat_broadcast, flat_broadcast_cost},
};

}  // namespace

std::span<const Algorithm> algorithms() {
  return kAlgorithms;
}

const Algorithm* find(plan::Kind kind, std::string_view name) {
  for (const Algorithm& row : kAlgorithms) {
    if (row.kind == kind && row.name == name) return &row;
  }
  return nullptr;
}

const Algorithm& select(const plan::Shape& shape, std::int64_t bytes,
                        const plan::LinkModel& model) {
  const Algorithm* best = nullptr;
  double best_seconds = 0;
  for (const Algorithm& row : kAlgorithms) {
    if (row.kind != shape.kind) continue;
    const double seconds = plan::predict_seconds(row.cost(shape), bytes, model);
    if (best == nullptr || seconds < best_seconds) {
      best = &row;
      best_seconds = seconds;
    }
  }
  return *best;
}

}  // namespace tutti::collectives
