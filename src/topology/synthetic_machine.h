// What a synthetic text asks for: the parser fills it, the builder makes a graph of it.
#pragma once

#include <cstdint>
#include <string_view>

#include "topology/graph.h"

namespace tutti::topology {

enum class Fabric : std::uint8_t {
  none,
  nvswitch,
  mesh,  // links between all pairs
  ring,  // each with its two neighbours
  cube,  // the hybrid cube mesh of DGX-1 with V100: 8 GPUs, 6 links each
};

struct GpuModel {
  std::string_view name;
  int sm;
  int links;
  double gigatransfers;
  std::string_view device;  // PCI id
};

struct Machine {
  int packages = 1;
  std::string_view vendor = {};  // as the CPU says it: "GenuineIntel"
  int numas = 1;
  int cores = 0;  // 0: 8 for each NUMA node
  int switches = 0;
  double switch_gigatransfers = 0;  // 0: that of the GPUs
  int gpus = 0;
  GpuModel gpu = {"h100", 90, 18, 32, "0x2330"};
  Fabric fabric = Fabric::none;
  int nvswitches = 4;
  int links = 0;  // of one GPU; 0: what the model has
  int nics = 0;
  int ports = 1;  // of one NIC
  int port_megabits = 0;
  double nic_gigatransfers = 0;  // 0: that of the GPUs
};

// REQUIRES: counts that fit together, as the parser sees to.
Result<Graph> build_machine(const Machine& machine);

}  // namespace tutti::topology
