// A graph as text and pictures. Pure functions; what is printed does not depend on the locale.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "topology/channels.h"
#include "topology/graph.h"

namespace tutti::topology {

// For the terminal: one line per node, cores and caches counted on the line of their NUMA node, and
// below it the notes. `unicode` draws the branches by box characters, else by ASCII.
std::string tree(const Graph& graph, bool unicode);

// How every GPU and NIC reaches every other, in the letters of `nvidia-smi topo -m`, with the CPUs
// and the NUMA node of each, and a legend.
std::string matrix(const Graph& graph);

// All there is, by the schema docs/topology.schema.json.
std::string json(const Graph& graph);

// For Graphviz: a box for each node but cores and caches, an edge for each link between boxes.
std::string dot(const Graph& graph);

// A picture by our own layout: boxes in boxes, as the tree says, with NVLink below.
std::string svg(const Graph& graph);

// How two devices reach each other, step by step. REQUIRES: both are inside the machine.
std::string explain(const Graph& graph, NodeId from, NodeId to);

// The channels of find_channels(graph), beside the bound of each search.
std::string channels_text(const Graph& graph, const MachineChannels& channels);
std::string channels_json(const Graph& graph, const MachineChannels& channels);

// "63.0 GB/s", "31.2 MB/s", "400 Gb/s", "unknown" for 0.
std::string bytes_per_s(double rate);
std::string bits_per_s(double bytes_per_s);
// "2 packages, 4 NUMA nodes, 8 GPUs, 8 NICs": kinds that are there.
std::string summary_text(const Summary& summary);
// What follows a node's name on its line: bus id, model, link, state.
std::string details(const Graph& graph, NodeId id);
// "left out: eth0: its state is down", a line for each reason: hosts of containers have hundreds of
// virtual devices.
std::string left_out_text(const Graph& graph, const std::vector<LeftOut>& left_out);
// Columns as wide as they need to be. REQUIRES: a row, and all of one length.
using Row = std::vector<std::string>;
std::string table(const std::vector<Row>& rows);

}  // namespace tutti::topology
