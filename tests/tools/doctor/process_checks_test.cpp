// Limits, shared memory, containers: each check with the fault, without, and with broken files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "doctor/checks.h"
#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class ProcessChecks : public testing::Test {
 protected:
  ProcessChecks() { host_.make_healthy(); }
  MadeUpHost host_;
};

constexpr std::string_view kGroup = "/sys/fs/cgroup/job";
constexpr std::string_view kStatus = "/proc/self/status";

void limit(const MadeUpHost& host, std::string_view name, std::string_view soft,
           std::string_view hard) {
  std::string line(name);
  line += " ";
  const std::string old = host.read("/proc/self/limits");
  const std::size_t at = old.find(line);
  ASSERT_NE(at, std::string::npos) << name;
  host.replace("/proc/self/limits", old.substr(at, old.find('\n', at) - at),
               line + std::string(soft) + " " + std::string(hard) + " units");
}

TEST_F(ProcessChecks, LockedMemory) {
  limit(host_, "Max locked memory", "8388608", "8388608");
  EXPECT_THAT(only_finding(host_.check("T-MEMLOCK")),
              AllOf(StartsWith("error this process: may lock 8 MiB of memory; RDMA locks"),
                    HasSubstr("| `ulimit -l unlimited`")));
  // The right to lock any amount counts where it is the host's, not a rootless container's.
  host_.replace(kStatus, "CapEff:\t0000000000000000", "CapEff:\t0000000000004000");
  EXPECT_EQ(host_.check("T-MEMLOCK").state(), State::clear);
  host_.write("/proc/self/uid_map", "0 1000 1\n");
  EXPECT_EQ(host_.check("T-MEMLOCK").state(), State::found);

  limit(host_, "Max locked memory", "lots", "unlimited");
  EXPECT_EQ(only_unseen(host_.check("T-MEMLOCK")),
            "/proc/self/limits: has no line 'Max locked memory' with two limits");
  host_.remove("/sys/class/infiniband");
  EXPECT_EQ(host_.check("T-MEMLOCK").nothing_here, "no RDMA device: nothing here locks memory");
}

TEST_F(ProcessChecks, OpenFiles) {
  limit(host_, "Max open files", "1024", "1048576");
  EXPECT_THAT(only_finding(host_.check("T-NOFILE")),
              AllOf(StartsWith("warning this process: may open 1024 files (hard limit 1048576)"),
                    HasSubstr("| `ulimit -n 65536`")));
  limit(host_, "Max open files", "1024", "1024");
  EXPECT_THAT(only_finding(host_.check("T-NOFILE")), HasSubstr("| '* - nofile 65536' in"));
  limit(host_, "Max open files", "unlimited", "unlimited");
  EXPECT_EQ(host_.check("T-NOFILE").state(), State::clear);
  host_.remove("/proc/self/limits");
  EXPECT_EQ(only_unseen(host_.check("T-NOFILE")), "/proc/self/limits: no such file");
}

TEST_F(ProcessChecks, Processes) {
  limit(host_, "Max processes", "1000", "unlimited");
  EXPECT_THAT(only_finding(host_.check("T-PIDS")),
              AllOf(HasSubstr("its user may have 1000 processes and threads (hard limit "
                              "unlimited)"),
                    HasSubstr("| `ulimit -u 65536`")));
  limit(host_, "Max processes", "1000", "1000");
  EXPECT_THAT(only_finding(host_.check("T-PIDS")), HasSubstr("| '* - nproc 65536' in"));
  limit(host_, "Max processes", "unlimited", "unlimited");
  host_.write("/sys/fs/cgroup/job/pids.max", "300\n");
  EXPECT_THAT(only_finding(host_.check("T-PIDS")),
              AllOf(StartsWith("warning /sys/fs/cgroup/job: this control group has 120 of at most "
                               "300 processes"),
                    HasSubstr("| docker run --pids-limit=-1")));
  host_.remove("/sys/fs/cgroup/job/pids.current");
  EXPECT_EQ(only_unseen(host_.check("T-PIDS")), "/sys/fs/cgroup/job/pids.current: no such file");
}

TEST_F(ProcessChecks, SizeOfSharedMemory) {
  host_.shm = {true, 64ULL << 20, 64ULL << 20};
  EXPECT_THAT(only_finding(host_.check("T-SHM-SIZE")),
              AllOf(StartsWith("warning /dev/shm: holds 64 MiB, less than 512 MiB"),
                    HasSubstr("| docker run --shm-size=1g")));
  EXPECT_EQ(host_.check("T-SHM-FREE").state(), State::clear);
  host_.shm = {false, 64ULL << 30, 64ULL << 30};
  EXPECT_THAT(only_unseen(host_.check("T-SHM-SIZE")),
              HasSubstr("/dev/shm: no file system is mounted below " + host_.root().string()));
  host_.remove("/dev/shm");
  EXPECT_EQ(only_unseen(host_.check("T-SHM-SIZE")), "/dev/shm: no such file");
}

TEST_F(ProcessChecks, SharedMemoryOfThisHostOnADisk) {
  Probes probes = kernel_probes();
  probes.space = [](const std::string&) { return Result<Space>(Space{false, 1, 1}); };
  const auto host = Host::open("/", probes);
  ASSERT_TRUE(host.ok());
  if (!host->exists("/dev/shm")) GTEST_SKIP() << "this host has no /dev/shm";
  for (const Check& check : checks()) {
    if (check.code != "T-SHM-SIZE") continue;
    EXPECT_THAT(only_finding(check.run(*host)),
                AllOf(HasSubstr("is a plain folder and no memory file system"),
                      HasSubstr("| `mount -t tmpfs")));
  }
}

TEST_F(ProcessChecks, FreeSharedMemory) {
  host_.shm = {true, 64ULL << 30, 256ULL << 20};
  EXPECT_THAT(only_finding(host_.check("T-SHM-FREE")),
              HasSubstr("has 256 MiB of 64 GiB free; no file in it has a name"));
  for (const char* const name : {"nccl-1", "nccl-2", "nccl-3", "nccl-4", "nccl-5", "nccl-6"}) {
    host_.write(std::string("/dev/shm/") + name, "");
  }
  EXPECT_THAT(only_finding(host_.check("T-SHM-FREE")),
              AllOf(HasSubstr("free; files: nccl-1, nccl-2, nccl-3, nccl-4 and 2 more"),
                    HasSubstr("| remove what ended jobs left")));
}

TEST_F(ProcessChecks, Memory) {
  host_.write("/proc/meminfo", "MemTotal: 99 kB\nMemAvailable: 524288 kB\n");
  EXPECT_THAT(only_finding(host_.check("T-MEMORY")),
              AllOf(HasSubstr("memory: 512 MiB are available"), HasSubstr("| end what uses it")));
  host_.write("/proc/meminfo", "MemAvailable: much kB\n");
  EXPECT_EQ(only_unseen(host_.check("T-MEMORY")),
            "/proc/meminfo: has no line 'MemAvailable:' with a number");
}

// The page cache that the kernel would give back counts as free.
TEST_F(ProcessChecks, MemoryOfTheControlGroup) {
  host_.write("/sys/fs/cgroup/job/memory.max", "9663676416\n");
  EXPECT_EQ(host_.check("T-MEMORY").state(), State::clear);
  host_.replace("/sys/fs/cgroup/job/memory.stat", "inactive_file 1073741824", "inactive_file 0");
  host_.write("/sys/fs/cgroup/job/memory.current", "9126805504\n");
  EXPECT_THAT(only_finding(host_.check("T-MEMORY")),
              AllOf(StartsWith("warning /sys/fs/cgroup/job: has 512 MiB of 9 GiB left"),
                    HasSubstr("| raise the limit")));
  host_.write("/sys/fs/cgroup/job/memory.max", "max\n");
  EXPECT_EQ(host_.check("T-MEMORY").state(), State::clear);
}

TEST_F(ProcessChecks, TimeOfTheCpus) {
  host_.write("/sys/fs/cgroup/job/cpu.max", "250000 100000\n");
  host_.write("/sys/fs/cgroup/job/cpu.stat", "nr_throttled 17\n");
  EXPECT_THAT(only_finding(host_.check("T-CPU-QUOTA")),
              AllOf(HasSubstr("gets the time of 2.5 CPUs, but sees 4 and was stopped for it '17' "
                              "times so far"),
                    HasSubstr("--cpuset-cpus in place of --cpus")));
  host_.write("/sys/fs/cgroup/job/cpu.max", "400000 100000\n");
  EXPECT_EQ(host_.check("T-CPU-QUOTA").state(), State::clear);
  host_.write("/sys/fs/cgroup/job/cpu.max", "100000 0\n");
  EXPECT_EQ(only_unseen(host_.check("T-CPU-QUOTA")),
            "/sys/fs/cgroup/job/cpu.max: '100000 0' is no quota");
}

// A limit further out holds as well.
TEST_F(ProcessChecks, TimeOfTheCpusFromAnOuterGroup) {
  host_.write("/proc/self/cgroup", "0::/job/step\n");
  host_.write("/sys/fs/cgroup/job/step/cpu.max", "max 100000\n");
  host_.write("/sys/fs/cgroup/job/cpu.max", "100000 100000\n");
  EXPECT_THAT(only_finding(host_.check("T-CPU-QUOTA")),
              StartsWith("warning /sys/fs/cgroup/job: gets the time of 1 CPUs"));
}

TEST_F(ProcessChecks, ControlGroupsOfVersion1) {
  host_.write("/proc/self/cgroup", "4:memory:/docker/1\n3:pids:/\n2:cpu,cpuacct:/docker/1\n0::/\n");
  host_.remove(kGroup);
  host_.folder("/sys/fs/cgroup/unified");
  const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct";
  host_.write(cpu + "/cpu.cfs_quota_us", "-1\n");
  host_.write(cpu + "/cpu.cfs_period_us", "100000\n");
  host_.write("/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "9223372036854771712\n");
  host_.write("/sys/fs/cgroup/pids/pids.max", "max\n");
  EXPECT_EQ(host_.check("T-CPU-QUOTA").state(), State::clear);
  EXPECT_EQ(host_.check("T-MEMORY").state(), State::clear);
  EXPECT_EQ(host_.check("T-PIDS").state(), State::clear);

  // The container sees its own group at the mount itself.
  host_.write(cpu + "/cpu.cfs_quota_us", "100000\n");
  EXPECT_THAT(only_finding(host_.check("T-CPU-QUOTA")),
              StartsWith("warning /sys/fs/cgroup/cpu,cpuacct: gets the time of 1 CPUs"));
  const std::string memory = "/sys/fs/cgroup/memory/docker/1";
  host_.write(memory + "/memory.limit_in_bytes", "2147483648\n");
  host_.write(memory + "/memory.usage_in_bytes", "2147483648\n");
  host_.write(memory + "/memory.stat", "total_inactive_file 536870912\n");
  EXPECT_THAT(only_finding(host_.check("T-MEMORY")), HasSubstr("has 512 MiB of 2 GiB left"));
}

TEST_F(ProcessChecks, ControlGroupsThatCannotBeSeen) {
  host_.write("/proc/self/cgroup", "nonsense\n");
  EXPECT_EQ(only_unseen(host_.check("T-CPU-QUOTA")),
            "/proc/self/cgroup: 'nonsense' is no line of it");
  host_.write("/proc/self/cgroup", "0::/job\n");
  host_.remove("/sys/fs/cgroup");
  EXPECT_EQ(only_unseen(host_.check("T-CPU-QUOTA")),
            "/sys/fs/cgroup: the control groups are not mounted there");
  host_.remove("/proc/self/cgroup");
  EXPECT_EQ(host_.check("T-CPU-QUOTA").nothing_here, "no control group limits the time of CPUs");
}

TEST_F(ProcessChecks, SetOfCpus) {
  host_.replace(kStatus, "Cpus_allowed_list:\t0-3", "Cpus_allowed_list:\t0,2");
  EXPECT_THAT(only_finding(host_.check("T-CPUSET")),
              AllOf(StartsWith("note this process: may use 2 of the 4 CPUs: 0,2"),
                    HasSubstr("| start no more ranks here")));
  host_.replace(kStatus, "Cpus_allowed_list:\t0,2", "Cpus_allowed_list:\tnone");
  EXPECT_EQ(only_unseen(host_.check("T-CPUSET")), "/proc/self/status: 'none' is no set of CPUs");
}

TEST_F(ProcessChecks, CpusWithoutMemoryBesideThem) {
  host_.replace(kStatus, "Mems_allowed_list:\t0-1", "Mems_allowed_list:\t0");
  EXPECT_THAT(only_finding(host_.check("T-CPUSET")),
              AllOf(StartsWith("warning node1: this process has CPUs there, but memory of node 0 "
                               "only"),
                    HasSubstr("| make both sets agree")));
}

}  // namespace
}  // namespace tutti::doctor::test
