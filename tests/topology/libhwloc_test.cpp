// libhwloc as a second opinion: it reads the XML that we write, and it finds on this machine what
// our live loader finds.
#include <gtest/gtest.h>
#include <hwloc.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "topology/hwloc_xml.h"
#include "topology/live.h"
#include "topology/load.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

struct Destroy {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, Destroy>;

// An XML text with its I/O, or without text this machine's processors.
Topology load_by_hwloc(const std::string& xml) {
  hwloc_topology_t topology = nullptr;
  hwloc_topology_init(&topology);
  Topology owner(topology);
  if (!xml.empty()) {
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL);
    EXPECT_EQ(hwloc_topology_set_xmlbuffer(topology, xml.c_str(), static_cast<int>(xml.size()) + 1),
              0);
  }
  EXPECT_EQ(hwloc_topology_load(topology), 0) << xml;
  hwloc_topology_check(topology);
  return owner;
}

int count(const Topology& topology, hwloc_obj_type_t type) {
  return hwloc_get_nbobjs_by_type(topology.get(), type);
}

// PCI devices of classes 03 and 12, those that hwloc has by NVML or RSMI; and 02.
std::pair<int, int> devices(const Topology& topology) {
  std::pair<int, int> found;
  for (hwloc_obj_t device = nullptr;
       (device = hwloc_get_next_pcidev(topology.get(), device)) != nullptr;) {
    const unsigned pci_class = device->attr->pcidev.class_id >> 8;
    found.first += pci_class == 0x03 || pci_class == 0x12;
    found.second += pci_class == 0x02;
  }
  return found;
}

TEST(Libhwloc, ReadsWhatWeWrite) {
  for (const auto& entry : std::filesystem::directory_iterator(TUTTI_TOPOLOGY_TESTS "/fixtures")) {
    SCOPED_TRACE(entry.path());
    const auto graph = load_file(entry.path());
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    const Topology topology = load_by_hwloc(hwloc_xml(*graph));
    const Summary sum = summary(*graph);
    EXPECT_EQ(count(topology, HWLOC_OBJ_NUMANODE), sum.numa_nodes);
    EXPECT_EQ(count(topology, HWLOC_OBJ_PACKAGE), sum.packages);
    if (sum.cores > 0) {
      EXPECT_EQ(count(topology, HWLOC_OBJ_CORE), sum.cores);
    }
    const auto [gpus, nics] = devices(topology);
    EXPECT_GE(gpus, sum.gpus);
    EXPECT_GE(sum.nics, nics);
    unsigned matrices = 1;
    hwloc_distances_s* matrix = nullptr;
    hwloc_distances_get_by_name(topology.get(), "NVLinkBandwidth", &matrices, &matrix, 0);
    bool nvlink = false;
    for (const Link& link : graph->links) {
      nvlink = nvlink || link.kind == LinkKind::nvlink;
    }
    EXPECT_EQ(matrices, nvlink ? 1U : 0U);
    if (matrix != nullptr) {
      hwloc_distances_release(topology.get(), matrix);
    }
  }
}

TEST(Libhwloc, WhatWeWriteComesBack) {
  const auto graph = load_text("text", "node{2 package, 4 switch, 8 gpu nvswitch, 8 nic}");
  ASSERT_FALSE(graph.ok()) << "two packages need two NUMA nodes";
  const auto good = load_text("text", "node{2 package, 2 numa, 4 switch, 8 gpu nvswitch, 8 nic}");
  ASSERT_TRUE(good.ok()) << good.status().message();
  const auto again = load_text("written", hwloc_xml(*good));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(summary(*again), summary(*good));
  // The letters and the CPUs of all devices; the legend names ports by what a system would.
  const auto rows = [](const Graph& one) {
    return matrix(one).substr(0, matrix(one).find("\n\n"));
  };
  EXPECT_EQ(rows(*again), rows(*good));
}

TEST(Libhwloc, SeesThisMachineAsWeDo) {
  const auto graph = load_live({"/", ""});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const Topology topology = load_by_hwloc("");
  const Summary sum = summary(*graph);
  // hwloc shows what this process may use; where that is all, both count alike.
  if (hwloc_bitmap_isequal(hwloc_topology_get_allowed_cpuset(topology.get()),
                           hwloc_topology_get_complete_cpuset(topology.get())) == 0) {
    GTEST_SKIP() << "this process may not use all CPUs";
  }
  EXPECT_EQ(sum.cores, count(topology, HWLOC_OBJ_CORE));
  EXPECT_EQ(sum.packages, count(topology, HWLOC_OBJ_PACKAGE));
  if (sum.numa_nodes > 0) {
    EXPECT_EQ(sum.numa_nodes, count(topology, HWLOC_OBJ_NUMANODE));
  }
}

}  // namespace
}  // namespace tutti::topology
