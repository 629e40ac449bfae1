// A host as its files show it: /proc, /sys, /dev and /boot below one root, which is / or a folder
// that another host's files are mounted at, or were copied to. It only reads, never waits (a FIFO
// or a device in place of a file is refused), and never reads more than 1 MiB of a file.
// Thread-safe: it has no state but the root.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/look.h"
#include "tutti/status.h"

namespace tutti::doctor {

// A file system, or the part of it that holds a folder.
struct Space {
  bool mounted_there = false;  // else the folder is part of what its parent lies on
  std::uint64_t bytes = 0;
  std::uint64_t free_bytes = 0;  // for this user
};

// What files do not say and a test cannot make up: asked of the kernel, by the whole path.
struct Probes {
  std::function<Result<Space>(const std::string& path)> space;
  std::function<Status(const std::string& path)> read_write;  // may this user open it?
};

Probes kernel_probes();

class Host {
 public:
  // invalid_argument unless `root` is a folder that has proc or sys.
  static Result<Host> open(const std::string& root, Probes probes = kernel_probes());

  bool is_this_host() const { return root_.empty(); }
  std::string root() const { return root_.empty() ? "/" : root_; }

  // Paths are absolute, as on the host itself.
  bool exists(std::string_view path) const;
  Look<std::string> bytes(std::string_view path) const;
  // Without white space at the ends.
  Look<std::string> text(std::string_view path) const;
  Look<std::int64_t> number(std::string_view path) const;
  // The names in a folder, digits in the order of their values: mlx5_2 before mlx5_10.
  Look<std::vector<std::string>> list(std::string_view path) const;
  // What a symbolic link says.
  Look<std::string> link(std::string_view path) const;

  Look<Space> space(std::string_view path) const;
  Status read_write(std::string_view path) const;

 private:
  Host(std::string root, Probes probes) : root_(std::move(root)), probes_(std::move(probes)) {}
  template <typename T>
  Look<T> failed(std::string_view path, int number) const;
  std::string whole(std::string_view path) const { return root_ + std::string(path); }

  std::string root_;  // empty for /
  Probes probes_;
};

}  // namespace tutti::doctor
