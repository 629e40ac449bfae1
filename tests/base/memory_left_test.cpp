// Limits of memory, on hosts that the tests make up.
#include "base/memory_left.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

namespace tutti {
namespace {

constexpr std::size_t kMiB = 1 << 20;

class MemoryLeft : public testing::Test {
 protected:
  MemoryLeft() {
    std::string name = testing::TempDir() + "tutti-memory-XXXXXX";
    root_ = ::mkdtemp(name.data());
    write("/proc/meminfo", "MemTotal:  9999 kB\nHugePages_Total: 0\nMemAvailable: 8192 kB\n");
  }
  ~MemoryLeft() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = root_.string() + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  std::string refusal(std::size_t bytes) {
    const Status status = check_memory_left(bytes, root_);
    EXPECT_EQ(status.code(), status.ok() ? Code::ok : Code::unavailable);
    return std::string(status.message());
  }

  std::filesystem::path root_;
};

TEST_F(MemoryLeft, TheHostsIsALimit) {
  EXPECT_EQ(refusal(8 * kMiB), "");
  EXPECT_EQ(refusal(8 * kMiB + 1),
            "this host has 8388608 bytes of memory left; allocate less or free some");
}

TEST_F(MemoryLeft, WhatNoFileTellsIsNoLimit) {
  std::filesystem::remove_all(root_ / "proc");
  EXPECT_EQ(refusal(std::size_t{1} << 60), "");
  write("/proc/meminfo", "nonsense\n");
  write("/proc/self/cgroup", "nonsense\n");
  EXPECT_EQ(refusal(std::size_t{1} << 60), "");
}

TEST_F(MemoryLeft, AGroupOfVersionTwoIsALimit) {
  write("/proc/self/cgroup", "0::/pod/job\n");
  write("/sys/fs/cgroup/pod/job/memory.max", "max\n");
  write("/sys/fs/cgroup/pod/job/memory.current", "4194304\n");
  write("/sys/fs/cgroup/pod/memory.max", "4194304\n");
  write("/sys/fs/cgroup/pod/memory.current", "3145728\n");
  EXPECT_EQ(refusal(kMiB), "");
  EXPECT_EQ(refusal(kMiB + 1),
            "the control group /sys/fs/cgroup/pod of this process has 1048576 of 4194304 bytes of "
            "memory left; allocate less, or raise the limit (docker run --memory, "
            "resources.limits.memory of the pod, Slurm's --mem)");
  // The page cache is given back.
  write("/sys/fs/cgroup/pod/memory.stat", "anon 7\ninactive_file 524288\nactive_file 524288\n");
  EXPECT_EQ(refusal(2 * kMiB), "");
  EXPECT_NE(refusal(2 * kMiB + 1), "");
}

TEST_F(MemoryLeft, AGroupOfVersionOneIsALimit) {
  write("/proc/self/cgroup", "7:memory:/docker/1\n0::/\n");
  const std::string group = "/sys/fs/cgroup/memory/docker/1";
  write(group + "/memory.limit_in_bytes", "9223372036854771712\n");
  write(group + "/memory.usage_in_bytes", "3145728\n");
  EXPECT_EQ(refusal(4 * kMiB), "");
  write(group + "/memory.limit_in_bytes", "4194304\n");
  write(group + "/memory.stat", "inactive_file 4096\ntotal_inactive_file 1048576\n");
  EXPECT_EQ(refusal(2 * kMiB), "");
  EXPECT_THAT(
      refusal(2 * kMiB + 1),
      testing::StartsWith(
          "the control group /sys/fs/cgroup/memory/docker/1 of this process has 2097152 of "));
  // More in use than allowed, as after the limit was lowered.
  write(group + "/memory.usage_in_bytes", "8388608\n");
  EXPECT_NE(refusal(1).find(" has 0 of 4194304 bytes of memory left"), std::string::npos);
}

}  // namespace
}  // namespace tutti
