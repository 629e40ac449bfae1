// The network interfaces that are hardware of this host, or that a hypervisor gave it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "doctor/check.h"

namespace tutti::doctor {

struct Nic {
  std::string name;
  std::string folder;  // /sys/class/net/NAME
  bool ethernet = false;
  bool up = false;                         // as its administrator wants it
  bool has_link = false;                   // false too when it is not up
  std::optional<std::int64_t> speed_mbps;  // unknown for most virtual ones
  std::optional<std::int64_t> mtu_bytes;
  std::string rdma_device;  // empty: none
  std::string model;        // PCI vendor and device; empty when unknown

  bool in_use() const { return up && has_link; }
};

// Says in `outcome` what could not be read, and why there is none.
std::vector<Nic> nics_of(const Host& host, Outcome& outcome);

// "100 Gb/s"
std::string speed_text(std::int64_t mbps);

}  // namespace tutti::doctor
