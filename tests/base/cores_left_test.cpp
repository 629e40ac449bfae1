// Cores, on machines that the tests make up.
#include "base/cores_left.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

namespace tutti {
namespace {

class CoresLeft : public testing::Test {
 protected:
  CoresLeft() {
    std::string name = testing::TempDir() + "tutti-cores-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~CoresLeft() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = root_.string() + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  // Of a machine of eight CPUs, this process may run on the first.
  int left(int cpus) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (int cpu = 0; cpu < cpus; ++cpu) CPU_SET(cpu, &mask);
    return cores_left(mask, root_);
  }
  void pair_up() {
    for (int cpu = 0; cpu < 8; ++cpu) {
      write("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
            std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4) + "\n");
    }
  }

  std::filesystem::path root_;
};

TEST_F(CoresLeft, HardwareThreadsOfACoreAreOne) {
  pair_up();
  EXPECT_EQ(left(8), 4);
  EXPECT_EQ(left(6), 4);
  EXPECT_EQ(left(3), 3);
  EXPECT_EQ(left(1), 1);
}

TEST_F(CoresLeft, WhatNoFileTellsIsNoLimit) {
  EXPECT_EQ(left(8), 8);
  EXPECT_EQ(left(0), 1);
  write("/proc/self/cgroup", "nonsense\n");
  EXPECT_EQ(left(8), 8);
}

TEST_F(CoresLeft, AGroupOfVersionTwoIsALimit) {
  pair_up();
  write("/proc/self/cgroup", "0::/pod/job\n");
  write("/sys/fs/cgroup/pod/job/cpu.max", "max 100000\n");
  EXPECT_EQ(left(8), 4);
  write("/sys/fs/cgroup/pod/cpu.max", "250000 100000\n");
  EXPECT_EQ(left(8), 2);
  write("/sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
  EXPECT_EQ(left(8), 1);
  write("/sys/fs/cgroup/pod/cpu.max", "50000\n");
  EXPECT_EQ(left(8), 4);
}

TEST_F(CoresLeft, AGroupOfVersionOneIsALimit) {
  write("/proc/self/cgroup", "4:cpu,cpuacct:/pod\n");
  write("/sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(left(8), 8);
  write("/sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(left(8), 3);
}

}  // namespace
}  // namespace tutti
