// Settings of the kernel and of IP: each check with the fault, without, and with broken files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class KernelChecks : public testing::Test {
 protected:
  KernelChecks() { host_.make_healthy(); }
  MadeUpHost host_;
};

TEST_F(KernelChecks, Ptrace) {
  constexpr std::string_view kScope = "/proc/sys/kernel/yama/ptrace_scope";
  host_.write(kScope, "1\n");
  EXPECT_THAT(only_finding(host_.check("T-PTRACE")),
              AllOf(StartsWith("warning kernel.yama.ptrace_scope: is 1: ranks cannot copy"),
                    HasSubstr("| `sysctl kernel.yama.ptrace_scope=0`")));
  // Who has the right to trace may, unless nobody may.
  host_.replace("/proc/self/status", "CapEff:\t0000000000000000", "CapEff:\t0000000000080000");
  EXPECT_EQ(host_.check("T-PTRACE").state(), State::clear);
  host_.write(kScope, "3\n");
  EXPECT_THAT(only_finding(host_.check("T-PTRACE")), HasSubstr("a restart: 3 cannot be lowered"));
  host_.write(kScope, "?\n");
  EXPECT_EQ(only_unseen(host_.check("T-PTRACE")),
            "/proc/sys/kernel/yama/ptrace_scope: '?' is no number");
  host_.remove(kScope);
  EXPECT_THAT(host_.check("T-PTRACE").nothing_here, StartsWith("the kernel has no Yama"));
}

TEST_F(KernelChecks, Seccomp) {
  host_.replace("/proc/self/status", "Seccomp:\t0", "Seccomp:\t2");
  EXPECT_THAT(only_finding(host_.check("T-SECCOMP")),
              AllOf(StartsWith("note this process: runs under a seccomp filter (mode '2')"),
                    HasSubstr("seccomp=unconfined")));
  host_.replace("/proc/self/status", "Seccomp:\t2", "Other:\t0");
  EXPECT_EQ(only_unseen(host_.check("T-SECCOMP")), "/proc/self/status: has no line 'Seccomp:'");
}

TEST_F(KernelChecks, Userfaultfd) {
  for (const char* const release : {"5.10.0-28-amd64", "4.18.0", "3.10.0-1160.el7.x86_64"}) {
    host_.write("/proc/sys/kernel/osrelease", release);
    EXPECT_THAT(only_finding(host_.check("T-USERFAULTFD")),
                AllOf(HasSubstr("is older than 5.11"), HasSubstr("| a kernel of 5.11 or newer")));
  }
  host_.write("/proc/sys/kernel/osrelease", "5.11.0");
  EXPECT_EQ(host_.check("T-USERFAULTFD").state(), State::clear);
  host_.remove("/proc/sys/vm/unprivileged_userfaultfd");
  EXPECT_THAT(only_finding(host_.check("T-USERFAULTFD")),
              HasSubstr("Linux '5.11.0' was built without userfaultfd"));
  host_.write("/proc/sys/kernel/osrelease", "six");
  EXPECT_EQ(only_unseen(host_.check("T-USERFAULTFD")),
            "/proc/sys/kernel/osrelease: 'six' is no release");
  host_.remove("/sys/class/infiniband");
  EXPECT_EQ(host_.check("T-USERFAULTFD").nothing_here, "no RDMA device: no registrations to watch");
}

TEST_F(KernelChecks, NumaBalancing) {
  host_.write("/proc/sys/kernel/numa_balancing", "1\n");
  EXPECT_THAT(only_finding(host_.check("T-NUMA-BALANCING")),
              AllOf(HasSubstr("is 1 with 2 NUMA nodes"), HasSubstr("numa_balancing=0")));
  host_.remove("/proc/sys/kernel/numa_balancing");
  EXPECT_THAT(host_.check("T-NUMA-BALANCING").nothing_here, HasSubstr("no automatic NUMA"));
  host_.remove("/sys/devices/system/node/node1");
  EXPECT_EQ(host_.check("T-NUMA-BALANCING").nothing_here, "one NUMA node");
}

TEST_F(KernelChecks, HugePages) {
  constexpr std::string_view kEnabled = "/sys/kernel/mm/transparent_hugepage/enabled";
  host_.write(kEnabled, "always madvise [never]\n");
  EXPECT_THAT(only_finding(host_.check("T-THP")),
              AllOf(StartsWith("note transparent huge pages: are off (never)"),
                    HasSubstr("| `echo madvise >")));
  host_.write(kEnabled, "always madvise never\n");
  EXPECT_THAT(only_unseen(host_.check("T-THP")), HasSubstr("names no choice in brackets"));
  host_.remove(kEnabled);
  EXPECT_EQ(host_.check("T-THP").nothing_here, "the kernel has no transparent huge pages");
}

TEST_F(KernelChecks, Governor) {
  const auto cpu = [](int number, const char* file) {
    return "/sys/devices/system/cpu/cpu" + std::to_string(number) + "/cpufreq/" + file;
  };
  host_.write(cpu(1, "scaling_governor"), "powersave\n");
  EXPECT_EQ(host_.check("T-GOVERNOR").state(), State::clear);  // the hardware prefers performance
  host_.write(cpu(1, "energy_performance_preference"), "balance_power\n");
  host_.write(cpu(3, "scaling_governor"), "powersave\n");
  host_.remove(cpu(3, "energy_performance_preference"));
  EXPECT_THAT(only_finding(host_.check("T-GOVERNOR")),
              AllOf(StartsWith("warning cpu1, cpu3: 2 of 4 CPUs run the governor 'powersave' "
                               "(driver 'intel_pstate')"),
                    HasSubstr("| `cpupower frequency-set -g performance`")));
  for (int number = 0; number < 4; ++number) host_.remove(cpu(number, ""));
  EXPECT_THAT(host_.check("T-GOVERNOR").nothing_here, StartsWith("the kernel has no cpufreq here"));
}

TEST_F(KernelChecks, Loopback) {
  host_.write("/sys/class/net/lo/flags", "0x8\n");
  EXPECT_THAT(only_finding(host_.check("T-LOOPBACK")),
              AllOf(StartsWith("error lo: is down"), HasSubstr("| `ip link set lo up`")));
  host_.write("/sys/class/net/lo/flags", "up\n");
  EXPECT_EQ(only_unseen(host_.check("T-LOOPBACK")), "/sys/class/net/lo/flags: 'up' is no number");
  host_.remove("/sys/class/net/lo");
  EXPECT_THAT(only_finding(host_.check("T-LOOPBACK")), StartsWith("error lo: does not exist"));
}

TEST_F(KernelChecks, TcpBuffers) {
  host_.write("/proc/sys/net/ipv4/tcp_rmem", "4096\t87380\t212992\n");
  EXPECT_THAT(only_finding(host_.check("T-TCP-BUFFER")),
              AllOf(StartsWith("warning net.ipv4.tcp_rmem: lets one connection grow to 208 KiB"),
                    HasSubstr("| `sysctl -w net.ipv4.tcp_rmem='4096 87380 16777216'`")));
  host_.write("/proc/sys/net/ipv4/tcp_rmem", "4096\n");
  EXPECT_EQ(only_unseen(host_.check("T-TCP-BUFFER")),
            "/proc/sys/net/ipv4/tcp_rmem: '4096' is not three numbers");
  for (const char* const nic : {"ens0", "ens1"}) {
    host_.write(std::string("/sys/class/net/") + nic + "/speed", "1000\n");
  }
  EXPECT_THAT(host_.check("T-TCP-BUFFER").nothing_here, StartsWith("no NIC with a link says"));
}

TEST_F(KernelChecks, Backlog) {
  host_.write("/proc/sys/net/core/somaxconn", "128\n");
  EXPECT_THAT(only_finding(host_.check("T-BACKLOG")),
              AllOf(StartsWith("warning net.core.somaxconn: is 128"),
                    HasSubstr("| `sysctl net.core.somaxconn=4096`")));
  host_.remove("/proc/sys/net/core/somaxconn");
  EXPECT_EQ(only_unseen(host_.check("T-BACKLOG")), "/proc/sys/net/core/somaxconn: no such file");
}

TEST_F(KernelChecks, ReversePath) {
  host_.write("/proc/sys/net/ipv4/conf/ens1/rp_filter", "1\n");
  EXPECT_THAT(only_finding(host_.check("T-RP-FILTER")),
              AllOf(StartsWith("note ens1: rp_filter is 1 (strict)"),
                    HasSubstr("| one subnet for each NIC")));
  host_.write("/proc/sys/net/ipv4/conf/all/rp_filter", "2\n");  // the larger of the two counts
  EXPECT_EQ(host_.check("T-RP-FILTER").state(), State::clear);
  host_.remove("/sys/class/net/ens1");
  EXPECT_EQ(host_.check("T-RP-FILTER").nothing_here, "fewer than two NICs have a link");
}

}  // namespace
}  // namespace tutti::doctor::test
