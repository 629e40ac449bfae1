// Files of /proc and /sys, below a root that stands for /: what cannot be read is empty, or
// nothing.
#pragma once

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace tutti {

class SmallFiles {
 public:
  explicit SmallFiles(std::filesystem::path root) : root_(std::move(root)) {}

  bool exists(const std::string& path) const {
    std::error_code ignored;
    return std::filesystem::exists(at(path), ignored);
  }
  std::string text(const std::string& path) const {
    std::ifstream file(at(path));
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
  }
  // The number that the file begins with.
  std::optional<std::size_t> number(const std::string& path) const {
    const std::string all = text(path);
    std::size_t value = 0;
    const auto [end, failure] = std::from_chars(all.data(), all.data() + all.size(), value);
    if (failure != std::errc() || end == all.data()) return std::nullopt;
    return value;
  }
  // The number behind the word that begins a line.
  std::optional<std::size_t> number_of(const std::string& path, std::string_view word) const {
    std::istringstream lines(text(path));
    std::string name;
    std::size_t value = 0;
    while (lines >> name >> value) {
      if (name == word) return value;
      lines.ignore(256, '\n');
    }
    return std::nullopt;
  }

 private:
  std::filesystem::path at(std::string_view path) const { return root_ / path.substr(1); }

  const std::filesystem::path root_;
};

}  // namespace tutti
