// The builders of all algorithms and what they claim to cost. Each lives in the file of its name,
// which says how it works, states its steps and bytes, and cites its paper. Pure functions;
// thread-safe.
//
// S is the size of a tile, all blocks of one rank's larger buffer together; n is the number of
// ranks. One rank has nothing to send: its program is empty and its cost is zero.
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

plan::Program reduce_scatter_all_gather_all_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms reduce_scatter_all_gather_all_reduce_cost(const plan::Shape& shape);

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

plan::Program circulant_broadcast(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms circulant_broadcast_cost(const plan::Shape& shape);

plan::Program flat_broadcast(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms flat_broadcast_cost(const plan::Shape& shape);

plan::Program binomial_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms binomial_reduce_cost(const plan::Shape& shape);

plan::Program chain_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms chain_reduce_cost(const plan::Shape& shape);

plan::Program double_binary_tree_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms double_binary_tree_reduce_cost(const plan::Shape& shape);

plan::Program reduce_scatter_gather_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms reduce_scatter_gather_reduce_cost(const plan::Shape& shape);

plan::Program flat_reduce(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms flat_reduce_cost(const plan::Shape& shape);

plan::Program ring_all_gather(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms ring_all_gather_cost(const plan::Shape& shape);

plan::Program recursive_doubling_all_gather(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms recursive_doubling_all_gather_cost(const plan::Shape& shape);

plan::Program bruck_all_gather(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms bruck_all_gather_cost(const plan::Shape& shape);

plan::Program pat_all_gather(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms pat_all_gather_cost(const plan::Shape& shape);

plan::Program direct_all_gather(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms direct_all_gather_cost(const plan::Shape& shape);

plan::Program ring_reduce_scatter(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms ring_reduce_scatter_cost(const plan::Shape& shape);

plan::Program halving_reduce_scatter(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms halving_reduce_scatter_cost(const plan::Shape& shape);

plan::Program bruck_reduce_scatter(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms bruck_reduce_scatter_cost(const plan::Shape& shape);

plan::Program pat_reduce_scatter(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms pat_reduce_scatter_cost(const plan::Shape& shape);

plan::Program pairwise_reduce_scatter(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms pairwise_reduce_scatter_cost(const plan::Shape& shape);

plan::Program pairwise_all_to_all(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms pairwise_all_to_all_cost(const plan::Shape& shape);

plan::Program bruck_all_to_all(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms bruck_all_to_all_cost(const plan::Shape& shape);

plan::Program direct_all_to_all(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms direct_all_to_all_cost(const plan::Shape& shape);

plan::Program binomial_gather(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms binomial_gather_cost(const plan::Shape& shape);

plan::Program flat_gather(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms flat_gather_cost(const plan::Shape& shape);

plan::Program binomial_scatter(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms binomial_scatter_cost(const plan::Shape& shape);

plan::Program flat_scatter(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms flat_scatter_cost(const plan::Shape& shape);

plan::Program dissemination_barrier(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms dissemination_barrier_cost(const plan::Shape& shape);

plan::Program tree_barrier(plan::Rank rank, const plan::Shape& shape);
plan::CostTerms tree_barrier_cost(const plan::Shape& shape);

}  // namespace tutti::collectives
