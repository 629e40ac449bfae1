// The configuration space of a PCI device, as the file `config` holds it: finding capabilities.
// Pure; no broken file makes it read beyond its end or go round for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tutti::doctor {

// The extended part begins here; without rights a user reads 64 bytes only.
inline constexpr std::size_t kExtendedConfig = 0x100;

struct AcsControl {
  bool source_validation = false;
  bool request_redirect = false;  // peers' requests go up to the root
  bool completion_redirect = false;
  bool upstream_forwarding = false;

  bool redirects() const { return request_redirect || completion_redirect; }
};

// What a bridge's Access Control Services are set to; none without that capability.
std::optional<AcsControl> acs_control(std::string_view config);

}  // namespace tutti::doctor
