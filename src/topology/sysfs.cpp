#include "topology/sysfs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>
#include <tuple>

#include "topology/build.h"

namespace tutti::topology {
namespace {

constexpr std::size_t kTextMax = std::size_t{1} << 20;
constexpr int kNumbersMax = 1 << 16;

// Digits compare as numbers.
bool natural_less(const std::string& a, const std::string& b) {
  const auto split = [](const std::string& text) {
    const std::size_t end = text.find_last_not_of("0123456789") + 1;
    return std::tuple(std::string_view(text).substr(0, end), text.size(), std::string_view(text));
  };
  return split(a) < split(b);
}

}  // namespace

std::string Sysfs::text(const std::filesystem::path& path) const {
  std::ifstream stream(root_ / path, std::ios::binary);
  std::string text(kTextMax, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  return text;
}

std::string Sysfs::line(const std::filesystem::path& path) const {
  std::ifstream stream(root_ / path);
  std::string line;
  std::getline(stream, line);
  line.erase(line.find_last_not_of(" \t\r") + 1);
  line.erase(0, line.find_first_not_of(" \t"));
  return line;
}

std::vector<std::string> Sysfs::names(const std::filesystem::path& path) const {
  std::vector<std::string> names;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(root_ / path, failure), end;
       !failure && entry != end; entry.increment(failure)) {
    names.push_back(entry->path().filename());
  }
  std::sort(names.begin(), names.end(), natural_less);
  return names;
}

bool Sysfs::exists(const std::filesystem::path& path) const {
  std::error_code failure;
  return std::filesystem::exists(root_ / path, failure);
}

std::vector<std::string> Sysfs::pci_chain(const std::filesystem::path& path,
                                          std::string& bridge) const {
  std::error_code failure;
  const std::filesystem::path whole = std::filesystem::canonical(root_ / path, failure);
  std::vector<std::string> chain;
  bool below_bridge = false;
  for (const std::filesystem::path& part : whole) {
    const std::string name = part;
    if (name.starts_with("pci") && name.size() > 5 && name.find(':') != std::string::npos) {
      bridge = name;
      below_bridge = true;
      chain.clear();
    } else if (below_bridge && bus_id(name) == name) {
      chain.push_back(name);
    }
  }
  return chain;
}

std::vector<int> numbers_of_list(std::string_view list) {
  std::vector<int> numbers;
  while (!list.empty()) {
    const std::string_view part = list.substr(0, list.find(','));
    list.remove_prefix(std::min(part.size() + 1, list.size()));
    int first = 0;
    const char* const end = part.data() + part.size();
    const auto [at, failure] = std::from_chars(part.data(), end, first);
    if (failure != std::errc()) {
      continue;
    }
    int last = first;
    if (at != end && *at == '-') {
      std::from_chars(at + 1, end, last);
    }
    for (int n = first; n >= 0 && n <= std::min(last, kNumbersMax); ++n) {
      numbers.push_back(n);
    }
  }
  return numbers;
}

std::string list_of_numbers(const std::vector<int>& numbers) {
  std::string list;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t first = i;
    while (i + 1 < numbers.size() && numbers[i + 1] == numbers[i] + 1) {
      ++i;
    }
    list += list.empty() ? "" : ",";
    list += i == first ? fmt::format("{}", numbers[i])
                       : fmt::format("{}-{}", numbers[first], numbers[i]);
  }
  return list;
}

}  // namespace tutti::topology
