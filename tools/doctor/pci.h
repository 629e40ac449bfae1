// The PCI devices of a host as /sys/bus/pci shows them, and where each hangs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "doctor/check.h"

namespace tutti::doctor {

struct PciDevice {
  std::string address;  // 0000:1a:00.0
  std::string folder;   // /sys/bus/pci/devices/ADDRESS
  std::uint32_t class_code = 0;
  std::uint32_t vendor = 0;
  std::vector<std::string> bridges;  // addresses of those above it, the root port first
  bool virtual_function = false;
  bool rdma = false;
  std::string name;  // "GPU 0000:1a:00.0", "mlx5_0 (0000:1b:00.0)"

  // Accelerators that exchange data with others; not the display of a server's management chip.
  bool is_gpu() const;
  bool is_network() const { return class_code >> 16 == 0x02; }
  bool is_peer() const { return is_gpu() || rdma; }
};

inline constexpr std::uint32_t kNvidia = 0x10de;
inline constexpr std::uint32_t kAmd = 0x1002;

// GPUs and NICs. Says in `outcome` what could not be read.
std::vector<PciDevice> gpus_and_nics(const Host& host, Outcome& outcome);

std::string pci_folder(std::string_view address);

}  // namespace tutti::doctor
