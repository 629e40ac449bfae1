// Folding: how the algorithms for 2^k ranks take any number of them (Thakur, Rabenseifner and Gropp
// 2005, section 4). Of the first 2 (n - 2^k) ranks, each odd one gives its data to the even one
// below it, sits out, and is sent the result. The others form the core, whose positions keep rank
// order. A value.
#pragma once

#include "collectives/rank_math.h"
#include "plan/program.h"

namespace tutti::collectives {

struct Fold {
  explicit Fold(plan::Rank ranks) : core(power_of_two_in(ranks)), extra(ranks - core) {}

  plan::Rank core;   // 2^k
  plan::Rank extra;  // ranks that sit out

  bool paired(plan::Rank rank) const { return rank < 2 * extra; }
  bool sits_out(plan::Rank rank) const { return paired(rank) && rank % 2 == 1; }
  plan::Rank position(plan::Rank rank) const { return paired(rank) ? rank / 2 : rank - extra; }
  plan::Rank rank_at(plan::Rank position) const {
    return position < extra ? 2 * position : position + extra;
  }

  // Where chunks are blocks of ranks: positions [begin, begin + count) stand for the ranks from
  // rank_at(begin) on, those that sit out between them included.
  plan::Rank ranks_in(plan::Rank begin, plan::Rank count) const {
    return rank_at(begin + count) - rank_at(begin);
  }
  // What position 0, which stands for the most ranks, has in groups of 1, 2, 4, ... core / 2
  // positions, all added up.
  plan::Rank largest_groups() const {
    plan::Rank sum = 0;
    for (plan::Rank count = 1; count < core; count *= 2) sum += ranks_in(0, count);
    return sum;
  }

  // Before and after the core's own steps: what `rank` does to take its pair's data in and to hand
  // the result out. Those that sit out do both in `enter`.
  void enter(plan::Program& program, plan::Rank rank) const {
    if (sits_out(rank)) {
      program.send(rank - 1, 0, program.chunks).recv(rank - 1, 0, program.chunks);
    } else if (paired(rank)) {
      program.recv_reduce(rank + 1, 0, program.chunks);
    }
  }
  void leave(plan::Program& program, plan::Rank rank) const {
    if (paired(rank) && !sits_out(rank)) program.send(rank + 1, 0, program.chunks);
  }
};

}  // namespace tutti::collectives
