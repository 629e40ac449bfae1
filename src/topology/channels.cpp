#include "topology/channels.h"

#include "topology/channels_pack.h"
#include "topology/channels_wiring.h"

namespace tutti::topology {

MachineChannels find_channels(const Graph& graph, std::int64_t steps) {
  Wiring inside = wire(graph, {});
  MachineChannels found{.members = inside.members};
  if (found.members.size() < 2) {
    return found;
  }
  found.rings = search_rings(inside, steps);
  if (inside.fast && found.rings.channels.empty()) {
    // Each has two fast neighbours, yet no ring goes round: PCIe has to close the gaps.
    inside = wire(graph, {.fast_alone = false});
    found.rings = search_rings(inside, steps);
  }
  found.fast = inside.fast;
  found.trees = search_trees(graph, inside, steps);
  const Wiring out = wire(graph, {.ports = true, .fast_alone = inside.fast});
  found.left_out = out.left_out;
  found.ports_unrated = out.ports_unrated;
  if (!out.ports.empty()) {
    found.rings_out = search_rings(out, steps);
    found.trees_out = search_trees(graph, out, steps);
  }
  return found;
}

}  // namespace tutti::topology
