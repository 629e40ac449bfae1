// NVLink, from NVIDIA's management library, which is loaded at run time: the driver brings it, and
// machines without the driver have none.
#pragma once

#include <string>

#include "topology/graph.h"

namespace tutti::topology {

// Adds to the GPUs of a graph, found by bus id, what NVML tells: model, uuid, compute capability,
// and active NVLinks, to other GPUs, NVSwitches (added if the graph has none of that bus id) or the
// CPU. Why NVML could not be asked, or which GPU it does not know, goes to Graph::notes.
void add_nvml(Graph& graph, const std::string& library);

}  // namespace tutti::topology
