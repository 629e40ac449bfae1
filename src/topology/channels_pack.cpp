#include "topology/channels_pack.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "topology/channels_bound.h"

namespace tutti::topology {
namespace {

// More channels cost more than the last percent is worth.
constexpr int kChannelsMax = 64;
constexpr int kUnlimitedSlots = 1 << 20;
constexpr double kTolerance = 1e-6;
// Less than this share of the bound is left lying.
constexpr double kWorthwhile = 0.01;

Slots slots_for(const std::vector<double>& capacities, double bandwidth) {
  Slots slots;
  for (const double capacity : capacities) {
    const double count = std::floor(capacity / bandwidth + kTolerance);
    slots.push_back(count < kUnlimitedSlots ? static_cast<int>(count) : kUnlimitedSlots);
  }
  return slots;
}

// The best of m channels of bound / m, m = 1, 2, ...: the first that reaches the bound ends it.
template <typename Channel>
std::vector<Channel> best_of_equals(const Kind<Channel>& kind,
                                    const std::vector<double>& capacities, double bound, int most,
                                    Budget& budget) {
  std::vector<Channel> best;
  double found = 0;
  // One m that is hopeless must not use up what the next ones need.
  const std::int64_t least_steps = budget.steps / 64 + 1;
  for (int m = 1; m <= most && budget.steps > 0; ++m) {
    const double each = bound / m;
    Budget share{std::min(budget.steps, std::max(budget.steps / 4, least_steps))};
    const std::int64_t before = share.steps;
    std::vector<Channel> now = kind.pack(slots_for(capacities, each), m, share);
    budget.steps -= before - share.steps;
    const double sum = each * static_cast<double>(now.size());
    if (sum > found * (1 + kTolerance)) {
      found = sum;
      best = std::move(now);
      for (Channel& channel : best) {
        channel.bandwidth = each;
      }
    }
    if (found > bound * (1 - kTolerance)) {
      break;
    }
  }
  return best;
}

template <typename Channel>
Channels<Channel> search(const Wiring& wiring, const Kind<Channel>& kind, std::int64_t steps) {
  std::vector<double> capacities;
  for (const Arc& arc : wiring.arcs) {
    capacities.push_back(arc.capacity);
  }
  Channels<Channel> result{.bound = kind.bound(capacities)};
  Budget budget{steps};
  if (result.bound.bandwidth == kUnlimited) {
    // No bandwidth is known: one channel, of an unknown one.
    result.bound = {};
    result.channels = kind.pack(Slots(capacities.size(), kUnlimitedSlots), 1, budget);
    result.steps = steps - budget.steps;
    return result;
  }
  const double enough = result.bound.bandwidth * kWorthwhile;
  for (double rest = result.bound.bandwidth; rest > enough;) {
    const int most = kChannelsMax - static_cast<int>(result.channels.size());
    // Where no equal shares make the bound, all of them are tried: what is left needs steps too.
    Budget half{budget.steps - budget.steps / 2};
    const std::int64_t before = half.steps;
    std::vector<Channel> more = best_of_equals(kind, capacities, rest, most, half);
    budget.steps -= before - half.steps;
    if (more.empty()) {
      break;
    }
    for (Channel& channel : more) {
      for (const int arc : arcs_of(wiring, channel)) {
        double& capacity = capacities[static_cast<std::size_t>(arc)];
        capacity = std::max(0.0, capacity - channel.bandwidth);
      }
      result.found += channel.bandwidth;
      result.channels.push_back(std::move(channel));
    }
    rest = std::min(result.bound.bandwidth - result.found, kind.bound(capacities).bandwidth);
  }
  result.steps = steps - std::max<std::int64_t>(budget.steps, 0);
  return result;
}

}  // namespace

bool take(Slots& slots, const Hop& hop) {
  for (std::size_t i = 0; i < hop.arcs.size(); ++i) {
    if (--slots[static_cast<std::size_t>(hop.arcs[i])] < 0) {
      for (std::size_t taken = 0; taken <= i; ++taken) {
        ++slots[static_cast<std::size_t>(hop.arcs[taken])];
      }
      return false;
    }
  }
  return hop.exists;
}

void give(Slots& slots, const Hop& hop) {
  for (const int arc : hop.arcs) {
    ++slots[static_cast<std::size_t>(arc)];
  }
}

int slots_of(const Slots& slots, const Hop& hop) {
  int least = kUnlimitedSlots;
  for (const int arc : hop.arcs) {
    least = std::min(least, slots[static_cast<std::size_t>(arc)]);
  }
  return hop.exists ? least : 0;
}

// The finalizer of MurmurHash3 over the three.
std::uint32_t scramble(std::uint32_t attempt, std::size_t from, std::size_t to) {
  std::uint32_t x = attempt * 0x9e3779b9U + static_cast<std::uint32_t>(from * 1024 + to);
  x = (x ^ (x >> 16)) * 0x85ebca6bU;
  x = (x ^ (x >> 13)) * 0xc2b2ae35U;
  return x ^ (x >> 16);
}

Channels<Ring> search_rings(const Wiring& wiring, std::int64_t steps) {
  const Kind<Ring> rings{
      [&](const std::vector<double>& capacities) { return ring_bound(wiring, capacities); },
      [&](Slots slots, int wanted, Budget& budget) {
        return pack_rings(wiring, std::move(slots), wanted, budget);
      }};
  return search(wiring, rings, steps);
}

Channels<Tree> search_trees(const Graph& graph, const Wiring& wiring, std::int64_t steps) {
  const Kind<Tree> trees{
      [&](const std::vector<double>& capacities) { return tree_bound(graph, wiring, capacities); },
      [&](const Slots& slots, int wanted, Budget& budget) {
        return pack_trees(wiring, slots, wanted, budget);
      }};
  return search(wiring, trees, steps);
}

}  // namespace tutti::topology
