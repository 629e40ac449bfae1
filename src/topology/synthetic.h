// A machine described in one line, for planning and for tests without files:
//
//   node{2 numa, 8 gpu nvswitch, 8 nic 400G}
//   node{2 package intel, 4 numa, 96 core, 4 switch gen5, 8 gpu h100 nvswitch 4, 8 nic 400G 2 port}
//   node{2 numa, 4 switch gen3, 8 gpu v100 cube, 4 nic 100G}
//
// Parts are separated by commas: a count, a kind, options in any order. docs/topology.md lists
// them. Devices are dealt out evenly and in order: of 8 GPUs on 4 switches, 0 and 1 hang from the
// first. What has no part is there once (package, NUMA node) or not at all.
#pragma once

#include <string_view>

#include "topology/graph.h"

namespace tutti::topology {

// Whether the text is meant for parse_synthetic: "node", spaces, "{".
bool is_synthetic(std::string_view text);

// An error names the column and shows the place.
Result<Graph> parse_synthetic(std::string_view text);

}  // namespace tutti::topology
