// The part of the search that rings and trees share: m equal channels of 1/m of the bound, for one
// m after the other; then what is left, in the same way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "topology/channels.h"
#include "topology/channels_wiring.h"

namespace tutti::topology {

// How many channels of the same bandwidth still fit through each arc.
using Slots = std::vector<int>;

// Takes one slot of every arc of the hop, or none if one has too few. An arc may occur twice.
bool take(Slots& slots, const Hop& hop);
void give(Slots& slots, const Hop& hop);
// The fewest slots of its arcs.
int slots_of(const Slots& slots, const Hop& hop);

// Steps left of the budget of one search.
struct Budget {
  std::int64_t steps = 0;
  bool step() { return steps-- > 0; }
};

// A number that looks drawn and is the same everywhere: what ties are broken by in a new attempt.
std::uint32_t scramble(std::uint32_t attempt, std::size_t from, std::size_t to);

// As many channels as fit, at most `wanted`; bandwidths are set by the caller.
std::vector<Ring> pack_rings(const Wiring& wiring, Slots slots, int wanted, Budget& budget);
std::vector<Tree> pack_trees(const Wiring& wiring, const Slots& slots, int wanted, Budget& budget);

// The place of a node in a list of members or ports that holds it.
inline std::size_t place_of(const std::vector<NodeId>& nodes, NodeId node) {
  return static_cast<std::size_t>(std::find(nodes.begin(), nodes.end(), node) - nodes.begin());
}

// The arcs of a channel, each as often as it is used: what the search takes, and what a check
// counts.
std::vector<int> arcs_of(const Wiring& wiring, const Ring& ring);
std::vector<int> arcs_of(const Wiring& wiring, const Tree& tree);

template <typename Channel>
struct Kind {
  std::function<Bound(const std::vector<double>& capacities)> bound;
  std::function<std::vector<Channel>(Slots slots, int wanted, Budget& budget)> pack;
};

Channels<Ring> search_rings(const Wiring& wiring, std::int64_t steps);
Channels<Tree> search_trees(const Graph& graph, const Wiring& wiring, std::int64_t steps);

}  // namespace tutti::topology
