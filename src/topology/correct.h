// Known faults of sources, put right with a note on the attribute and on the link, so that nobody
// plans with them and nobody wonders where a number came from.
#pragma once

#include "topology/graph.h"

namespace tutti::topology {

// Links that show a power-saving or made-up speed. An idle GPU trains its link down to 2.5 or
// 5 GT/s, and some switches show such a speed upstream for good; planning with it halves what a
// machine can do or worse. A GPU gets the speed it is built for, a switch that of the fastest
// device below it.
void correct_links(Graph& graph);

// Two boards of NVSwitches whose trunk no source tells: on HGX-2 every switch of one board has as
// many links to one of the other as it has GPU ports. Without them 16 GPUs would look like two
// machines of 8.
void correct_trunks(Graph& graph);

// Virtual machines that hide their switches: two GPUs on one bus, which real PCIe cannot have, as
// every device there has a bus of its own. Where they hang gets the attribute "flattened". What is
// behind what is not known then, so that nothing is corrected.
void note_flattened(Graph& graph);

}  // namespace tutti::topology
