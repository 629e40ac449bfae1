// hwloc's XML, formats 1 and 2, read without libhwloc.
//
// libhwloc would read more, but it tells neither line nor reason of a fault in a file, and what it
// does with a hostile one is its own business. We need a part only: packages, NUMA nodes, L3
// caches, cores, and of the PCI tree what leads to GPUs, NICs and NVSwitches.
//
// The PCI tree shows every bridge. One that hangs from the host bridge is a root port; then
// upstream and downstream ports of switches take turns, and a pci_switch of ours is an upstream
// port.
#pragma once

#include <string>

#include "topology/graph.h"
#include "topology/xml_file.h"

namespace tutti::topology {

// REQUIRES: the root element is <topology>.
Result<Graph> load_hwloc_xml(const XmlFile& file);

// Format 2.0, as libhwloc 2 reads it: GPUs, NICs and NVSwitches as PCI devices behind bridges,
// NVLink and xGMI in matrices of bandwidth.
std::string hwloc_xml(const Graph& graph);

}  // namespace tutti::topology
