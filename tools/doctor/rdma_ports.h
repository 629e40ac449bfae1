// RDMA devices and their ports as /sys/class/infiniband shows them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "doctor/check.h"

namespace tutti::doctor {

inline constexpr std::string_view kRdmaClass = "/sys/class/infiniband";

// Their names; absent when the kernel has no RDMA at all.
Look<std::vector<std::string>> rdma_devices(const Host& host);

struct RdmaPort {
  std::string device;
  std::string port;
  std::string folder;  // /sys/class/infiniband/DEVICE/ports/PORT
  std::string state;   // ACTIVE, INIT, DOWN, ...
  bool ethernet = false;
  bool infiniband = false;
  std::string model;  // board, or type of device; ports of one model should be alike

  std::string name() const { return device + " port " + port; }
  bool active() const { return state == "ACTIVE"; }
};

// Says in `outcome` what could not be read, and why there is none.
std::vector<RdmaPort> rdma_ports(const Host& host, Outcome& outcome);

// "4: ACTIVE" -> "ACTIVE"; none when it is not of this form.
std::optional<std::string> state_word(std::string_view text);

}  // namespace tutti::doctor
