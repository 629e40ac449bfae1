// Reading small files below a root. Whatever cannot be read is empty: sysfs has files that exist
// and fail ("speed" of a port that is down), and which of them there are differs between kernels.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tutti::topology {

class Sysfs {
 public:
  explicit Sysfs(std::filesystem::path root) : root_(std::move(root)) {}

  // The first line of a file, without spaces at its ends. Paths are relative to the root.
  std::string line(const std::filesystem::path& path) const;
  // The whole file, at most 1 MiB of it.
  std::string text(const std::filesystem::path& path) const;
  // Names in a folder, sorted so that numbers are in order: cpu2 before cpu10.
  std::vector<std::string> names(const std::filesystem::path& path) const;
  bool exists(const std::filesystem::path& path) const;
  // Bus ids on the way to a device, the root port first: {"0000:00:01.0", "0000:01:00.0"}. The
  // folder of its host bridge ("pci0000:00") goes to `bridge`. Empty if it is not on PCI.
  std::vector<std::string> pci_chain(const std::filesystem::path& path, std::string& bridge) const;

 private:
  std::filesystem::path root_;
};

// "0-3,8" -> {0, 1, 2, 3, 8}
std::vector<int> numbers_of_list(std::string_view list);
// The reverse. REQUIRES: ascending, none twice.
std::string list_of_numbers(const std::vector<int>& numbers);

}  // namespace tutti::topology
