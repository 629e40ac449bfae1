// The builders of all algorithms and what they claim to cost. Each lives in the file of its name,
// which says how it works, states its steps and bytes, and cites its paper. Pure functions;
// thread-safe.
//
// S is the size of a tile; n is the number of ranks. One rank has nothing to send: its program is
// empty and its cost is zero.
#pragma once

#include "plan/cost.h"
#include "plan/program.h"

namespace tutti::collectives {

plan::Program ring_all_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms ring_all_reduce_cost(const plan::Shape& shape);

plan::Program double_binary_tree_all_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms double_binary_tree_all_reduce_cost(const plan::Shape& shape);

plan::Program recursive_doubling_all_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms recursive_doubling_all_reduce_cost(const plan::Shape& shape);

plan::Program halving_doubling_all_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms halving_doubling_all_reduce_cost(const plan::Shape& shape);

plan::Program direct_all_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms direct_all_reduce_cost(const plan::Shape& shape);

plan::Program binomial_broadcast(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms binomial_broadcast_cost(const plan::Shape& shape);

plan::Program chain_broadcast(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms chain_broadcast_cost(const plan::Shape& shape);

plan::Program double_binary_tree_broadcast(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms double_binary_tree_broadcast_cost(const plan::Shape& shape);

plan::Program scatter_all_gather_broadcast(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms scatter_all_gather_broadcast_cost(const plan::Shape& shape);

plan::Program flat_broadcast(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms flat_broadcast_cost(const plan::Shape& shape);

}  // namespace tutti::collectives
