// The figures that sources leave out: bytes per second of a link from its generation, and default
// latencies. Pure functions over tables; each figure names where it comes from.
#pragma once

#include <string_view>

#include "topology/graph.h"

namespace tutti::topology {

constexpr double kGiga = 1e9;

// "32.0 GT/s PCIe", "16 GT/s" -> 32, 16; 0 if there is no number in front.
double gigatransfers(std::string_view text);

// Payload rate of a PCIe link in one direction, after line coding (8b/10b up to 5 GT/s, 128b/130b
// up to 32, 242/256 from 64 on): 32 GT/s x16 is 63.0e9 bytes/s.
double pcie_bandwidth(double gigatransfers, int lanes);
// The GT/s whose link of some width has about that rate: how a source that tells bytes per second
// alone is read. {32, 16} for 63.0e9; {0, 0} if nothing fits.
struct PcieLink {
  double gigatransfers = 0;
  int lanes = 0;
};
PcieLink pcie_link(double bandwidth);

// The link speed that a GPU of that PCI vendor and device id is built for, in GT/s; 0 if unknown.
double gpu_gigatransfers(unsigned vendor, unsigned device);

// One NVLink, one direction, line rate: NVLink 1 20e9, 2 to 4 25e9, 5 50e9 (hwloc's table since
// 2.9.1). What is reached is lower: NCCL plans with 20.6e9 of 25e9 on Hopper, 40.1e9 of 50e9 on
// Blackwell.
double nvlink_bandwidth(int version);
// The same by compute capability as NCCL writes it, 90 for Hopper. SM 8.6 has four links of
// 14.0625e9.
double nvlink_bandwidth_of_sm(int sm);
// One xGMI link, one direction, by "gfx90a": 46e9 up to MI100, 50e9 on MI200, 64e9 on MI300
// and MI350 (AMD's data sheets, x16 links).
double xgmi_bandwidth(std::string_view gcn);

// The NVLink version of a GPU, and one xGMI link of it, by PCI device id; 0 if unknown.
int nvlink_version(unsigned device);
double xgmi_bandwidth_of_device(unsigned device);

// Between two sockets, one direction, as NCCL assumes it (topo.h); 6e9 when the CPU is unknown.
double socket_bandwidth(std::string_view vendor, int family, int model);

// One way through one link of that kind. Orders of magnitude to compare paths with, not measured.
double default_latency_s(LinkKind kind);

}  // namespace tutti::topology
