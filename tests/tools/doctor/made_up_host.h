// A host made of files in a temporary folder, removed with the object. Tests start from one where
// all is well, break one thing, and look at what a check says. One thread at a time.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/check.h"

namespace tutti::doctor::test {

class MadeUpHost {
 public:
  MadeUpHost();  // with nothing but an empty proc and sys
  ~MadeUpHost();
  MadeUpHost(const MadeUpHost&) = delete;
  MadeUpHost& operator=(const MadeUpHost&) = delete;

  // Two sockets, each with a PCI switch that has a GPU and an RDMA NIC below it; a cgroup v2.
  // Everything is as it should be: see healthy_host.cpp.
  void make_healthy();

  const std::filesystem::path& root() const { return root_; }
  // Paths as on the host: "/proc/self/limits". Folders are made as needed.
  void write(std::string_view path, std::string_view content) const;
  void link(std::string_view path, std::string_view target) const;
  void folder(std::string_view path) const;
  void remove(std::string_view path) const;
  std::string read(std::string_view path) const;
  // Exchanges a part of a file, which must be there.
  void replace(std::string_view path, std::string_view from, std::string_view to) const;
  // The regular files, as paths on the host, sorted.
  std::vector<std::string> files() const;

  // What the kernel would say.
  Space shm{true, 64ULL << 30, 63ULL << 30};
  std::string device_file_trouble;  // why RDMA's device files cannot be opened; empty: they can

  Host open() const;
  // What the check of this code finds here.
  Outcome check(std::string_view code) const;

 private:
  std::filesystem::path whole(std::string_view path) const;
  std::filesystem::path root_;
};

// "device: cause | remedy" of the only finding; what is wrong with it otherwise.
std::string only_finding(const Outcome& outcome);
// The only thing that could not be looked at.
std::string only_unseen(const Outcome& outcome);

// A PCI configuration space of 4 KiB with these bits in ACS's control register.
std::string config_with_acs(unsigned control);

}  // namespace tutti::doctor::test
