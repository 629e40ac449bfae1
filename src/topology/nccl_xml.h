// NCCL's topology XML, and RCCL's form of it: read and written.
//
// The format has no description but NCCL's source (src/graph/xml.cc). A <system> holds <cpu>s, one
// for each NUMA node, these hold <pci>s, which nest, and those hold <gpu> or <nic>. Every attribute
// may be missing, as NCCL fills files in from the machine that it runs on: users write files of
// bus ids alone. RCCL's form has version 2, <xgmi> for <nvlink>, and attributes gcn and arch.
//
// What the format cannot say is left out when writing: packages, caches, cores, host bridges, which
// port of an RDMA device is up. What is read and written again is the same graph.
#pragma once

#include <string>

#include "topology/graph.h"
#include "topology/xml_file.h"

namespace tutti::topology {

// REQUIRES: the root element is <system> or <graphs>; the latter, channels that NCCL chose, is an
// error that says so.
Result<Graph> load_nccl_xml(const XmlFile& file);

// Version 2 if there is an xGMI link or a gfx name, else version 1.
std::string nccl_xml(const Graph& graph);

}  // namespace tutti::topology
