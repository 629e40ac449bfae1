#include "transport/rdma/sysfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "transport/rdma/device_filter.h"

namespace tutti::transport::rdma {

std::vector<std::string> kernel_devices(const std::string& root) {
  std::vector<std::string> names;
  std::error_code failed;
  const std::filesystem::path folder = root + "/class/infiniband";
  for (std::filesystem::directory_iterator one(folder, failed), end; !failed && one != end;
       one.increment(failed)) {
    names.push_back(one->path().filename());
  }
  std::sort(names.begin(), names.end(), natural_less);
  return names;
}

std::string port_interface(const std::string& root, const std::string& device, int port) {
  // One file per entry of the GID table; those of unused entries cannot be read.
  constexpr int kEntries = 16;
  for (int index = 0; index < kEntries; ++index) {
    std::ifstream file(fmt::format("{}/class/infiniband/{}/ports/{}/gid_attrs/ndevs/{}", root,
                                   device, port, index));
    std::string name;
    if (file >> name) return name;
  }
  return {};
}

}  // namespace tutti::transport::rdma
