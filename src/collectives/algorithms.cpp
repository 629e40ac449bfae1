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
    Algorithm{Kind::all_reduce, "reduce_scatter_all_gather", reduce_scatter_all_gather_all_reduce,
              reduce_scatter_all_gather_all_reduce_cost},
    Algorithm{Kind::all_reduce, "direct", direct_all_reduce, direct_all_reduce_cost},
    Algorithm{Kind::broadcast, "binomial", binomial_broadcast, binomial_broadcast_cost},
    Algorithm{Kind::broadcast, "chain", chain_broadcast, chain_broadcast_cost},
    Algorithm{Kind::broadcast, "double_binary_tree", double_binary_tree_broadcast,
              double_binary_tree_broadcast_cost},
    Algorithm{Kind::broadcast, "scatter_all_gather", scatter_all_gather_broadcast,
              scatter_all_gather_broadcast_cost},
    Algorithm{Kind::broadcast, "circulant", circulant_broadcast, circulant_broadcast_cost},
    Algorithm{Kind::broadcast, "flat", flat_broadcast, flat_broadcast_cost},
    Algorithm{Kind::reduce, "binomial", binomial_reduce, binomial_reduce_cost},
    Algorithm{Kind::reduce, "chain", chain_reduce, chain_reduce_cost},
    Algorithm{Kind::reduce, "double_binary_tree", double_binary_tree_reduce,
              double_binary_tree_reduce_cost},
    Algorithm{Kind::reduce, "reduce_scatter_gather", reduce_scatter_gather_reduce,
              reduce_scatter_gather_reduce_cost},
    Algorithm{Kind::reduce, "flat", flat_reduce, flat_reduce_cost},
    Algorithm{Kind::all_gather, "ring", ring_all_gather, ring_all_gather_cost},
    Algorithm{Kind::all_gather, "recursive_doubling", recursive_doubling_all_gather,
              recursive_doubling_all_gather_cost},
    Algorithm{Kind::all_gather, "bruck", bruck_all_gather, bruck_all_gather_cost},
    Algorithm{Kind::all_gather, "pat", pat_all_gather, pat_all_gather_cost},
    Algorithm{Kind::all_gather, "direct", direct_all_gather, direct_all_gather_cost},
    Algorithm{Kind::reduce_scatter, "ring", ring_reduce_scatter, ring_reduce_scatter_cost},
    Algorithm{Kind::reduce_scatter, "halving", halving_reduce_scatter, halving_reduce_scatter_cost},
    Algorithm{Kind::reduce_scatter, "bruck", bruck_reduce_scatter, bruck_reduce_scatter_cost},
    Algorithm{Kind::reduce_scatter, "pat", pat_reduce_scatter, pat_reduce_scatter_cost},
    Algorithm{Kind::reduce_scatter, "pairwise", pairwise_reduce_scatter,
              pairwise_reduce_scatter_cost},
    Algorithm{Kind::all_to_all, "pairwise", pairwise_all_to_all, pairwise_all_to_all_cost},
    Algorithm{Kind::all_to_all, "direct", direct_all_to_all, direct_all_to_all_cost},
    Algorithm{Kind::all_to_all, "bruck", bruck_all_to_all, bruck_all_to_all_cost,
              /*in_place=*/false, /*any_blocks=*/false},
    Algorithm{Kind::gather, "binomial", binomial_gather, binomial_gather_cost},
    Algorithm{Kind::gather, "flat", flat_gather, flat_gather_cost},
    Algorithm{Kind::scatter, "binomial", binomial_scatter, binomial_scatter_cost},
    Algorithm{Kind::scatter, "flat", flat_scatter, flat_scatter_cost},
    Algorithm{Kind::barrier, "dissemination", dissemination_barrier, dissemination_barrier_cost},
    Algorithm{Kind::barrier, "tree", tree_barrier, tree_barrier_cost},
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

const Algorithm& select(const plan::Shape& shape, std::int64_t bytes, const plan::LinkModel& model,
                        bool any_blocks) {
  const Algorithm* best = nullptr;
  double best_seconds = 0;
  for (const Algorithm& row : kAlgorithms) {
    if (row.kind != shape.kind || (any_blocks && !row.any_blocks)) continue;
    const double seconds = plan::predict_seconds(row.cost(shape), bytes, model);
    if (best == nullptr || seconds < best_seconds) {
      best = &row;
      best_seconds = seconds;
    }
  }
  return *best;
}

}  // namespace tutti::collectives
