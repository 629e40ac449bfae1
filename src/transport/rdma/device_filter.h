// TUTTI_RDMA_DEVICES: which ports of which RDMA devices may be used, and in which order.
//
// As NCCL_IB_HCA: names or prefixes separated by commas, each with an optional port ("mlx5_0:1"). A
// leading ^ excludes instead, a leading = demands exact names, ^= excludes exact names. Values and
// pure functions; thread-safe. The filter owns its text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tutti/status.h"

namespace tutti::transport::rdma {

struct DevicePort {
  std::string device;
  std::uint8_t port = 1;  // 0: all of the device's, which are not known

  bool operator==(const DevicePort&) const = default;
};

class DeviceFilter {
 public:
  // Empty text allows every port. invalid_environment when the text is malformed: an entry that is
  // empty or occurs twice, or a port that is no number from 1 to 255.
  static Result<DeviceFilter> parse(std::string_view text);

  // False when no port of the device can pass, so that there is no need to open it.
  bool may_allow(std::string_view device) const;

  // The ports that pass: in the order of the list, and in natural order (mlx5_2 before mlx5_10)
  // within one prefix, after ^ and without a filter. invalid_environment, with the ports there are,
  // when an entry of the list matches none of them or the list excludes all of them.
  Result<std::vector<DevicePort>> apply(std::vector<DevicePort> all) const;

 private:
  struct Entry {
    std::string device;
    std::uint8_t port = 0;  // 0: every port

    bool operator==(const Entry&) const = default;
  };

  bool matches(const Entry& entry, std::string_view device) const;
  bool matches(const Entry& entry, const DevicePort& one) const;
  Status nothing_left(std::string_view culprit, const std::vector<DevicePort>& all) const;

  std::string text_;
  bool exclude_ = false;
  bool exact_ = false;
  std::vector<Entry> entries_;
};

// Names as people order them: runs of digits compare as numbers.
bool natural_less(std::string_view a, std::string_view b);

}  // namespace tutti::transport::rdma
