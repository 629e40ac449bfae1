// The files of a host where all is well.
#include <fmt/format.h>

#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

constexpr std::string_view kLimits =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             1030000              1030000              processes \n"
    "Max open files            1048576              1048576              files     \n"
    "Max locked memory         unlimited            unlimited            bytes     \n";

constexpr std::string_view kStatus =
    "Name:\ttutti\n"
    "CapEff:\t0000000000000000\n"
    "Seccomp:\t0\n"
    "Cpus_allowed_list:\t0-3\n"
    "Mems_allowed_list:\t0-1\n";

void add_processes(const MadeUpHost& host) {
  host.write("/proc/self/limits", kLimits);
  host.write("/proc/self/status", kStatus);
  host.write("/proc/self/uid_map", "         0          0 4294967295\n");
  host.write("/proc/self/cgroup", "0::/job\n");
  host.write("/proc/meminfo", "MemTotal: 131072000 kB\nMemAvailable:   98304000 kB\n");
  const std::string group = "/sys/fs/cgroup/job";
  host.write(group + "/cpu.max", "max 100000\n");
  host.write(group + "/cpu.stat", "usage_usec 5\nnr_throttled 0\n");
  host.write(group + "/memory.max", "68719476736\n");
  host.write(group + "/memory.current", "8589934592\n");
  host.write(group + "/memory.stat", "anon 4294967296\ninactive_file 1073741824\n");
  host.write(group + "/pids.max", "100000\n");
  host.write(group + "/pids.current", "120\n");
}

void add_kernel(const MadeUpHost& host) {
  const std::string sys = "/proc/sys";
  host.write(sys + "/kernel/hostname", "n1\n");
  host.write(sys + "/kernel/osrelease", "6.1.0-13-amd64\n");
  host.write(sys + "/kernel/numa_balancing", "0\n");
  host.write(sys + "/kernel/yama/ptrace_scope", "0\n");
  host.write(sys + "/vm/unprivileged_userfaultfd", "0\n");
  host.write(sys + "/net/core/somaxconn", "4096\n");
  host.write(sys + "/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
  host.write(sys + "/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n");
  host.write(sys + "/net/ipv4/conf/all/rp_filter", "0\n");
  host.write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  host.write("/proc/driver/nvidia/version",
             "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03\n");
  host.folder("/sys/module/nvidia_peermem");
  host.folder("/dev/shm");
}

void add_cpus(const MadeUpHost& host) {
  host.write("/sys/devices/system/cpu/online", "0-3\n");
  for (int cpu = 0; cpu < 4; ++cpu) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq", cpu);
    host.write(folder + "/scaling_governor", "performance\n");
    host.write(folder + "/scaling_driver", "intel_pstate\n");
    host.write(folder + "/energy_performance_preference", "performance\n");
  }
  host.folder("/sys/devices/system/cpu/cpufreq");
  host.write("/sys/devices/system/node/node0/cpulist", "0-1\n");
  host.write("/sys/devices/system/node/node1/cpulist", "2-3\n");
  host.write("/sys/devices/system/node/online", "0-1\n");
}

// A PCI device below `parent`, which is a path such as "pci0000:17/0000:17:00.0".
std::string add_pci(const MadeUpHost& host, const std::string& parent, const std::string& address,
                    std::string_view class_code, std::string_view vendor, bool group = false) {
  std::string path = parent + "/" + address;
  const std::string folder = "/sys/devices/" + path;
  host.write(folder + "/class", fmt::format("{}\n", class_code));
  host.write(folder + "/vendor", fmt::format("{}\n", vendor));
  host.write(folder + "/device", "0x1021\n");
  for (const std::string_view which : {"current", "max"}) {
    host.write(fmt::format("{}/{}_link_width", folder, which), "16\n");
    host.write(fmt::format("{}/{}_link_speed", folder, which), "32.0 GT/s PCIe\n");
  }
  if (group) {
    const std::string number = address.substr(5, 2);
    host.write("/sys/kernel/iommu_groups/" + number + "/type", "identity\n");
    std::string up;
    for (const char c : folder) up += c == '/' ? "../" : "";
    host.link(folder + "/iommu_group", up.substr(3) + "kernel/iommu_groups/" + number);
  }
  host.link("/sys/bus/pci/devices/" + address, "../../../devices/" + path);
  return path;
}

// A root port, and a switch below it with two ports: for a GPU and for an RDMA NIC.
void add_socket(const MadeUpHost& host, int socket) {
  const int bus = socket == 0 ? 0x17 : 0x97;
  const auto at = [&](int offset, int slot) {
    return fmt::format("0000:{:02x}:{:02x}.0", bus + offset, slot);
  };
  const auto bridge = [&](const std::string& parent, const std::string& address) {
    std::string path = add_pci(host, parent, address, "0x060400", "0x8086");
    host.write("/sys/devices/" + path + "/config", config_with_acs(0));
    return path;
  };
  const std::string top = fmt::format("pci0000:{:02x}", bus);
  const std::string upstream = bridge(bridge(top, at(0, 0)), at(1, 0));
  add_pci(host, bridge(upstream, at(2, 0)), at(3, 0), "0x030200", "0x10de", true);
  const std::string nic =
      add_pci(host, bridge(upstream, at(2, 1)), at(4, 0), "0x020000", "0x15b3", true);
  host.folder(fmt::format("/sys/devices/{}/infiniband/mlx5_{}", nic, socket));
  host.folder(fmt::format("/sys/devices/{}/net/ens{}", nic, socket));
}

void add_nic(const MadeUpHost& host, int socket) {
  const std::string net = fmt::format("/sys/class/net/ens{}", socket);
  host.write(net + "/type", "1\n");
  host.write(net + "/ifindex", fmt::format("{}\n", socket + 2));
  host.write(net + "/flags", "0x1003\n");
  host.write(net + "/carrier", "1\n");
  host.write(net + "/speed", "200000\n");
  host.write(net + "/mtu", "9000\n");
  const std::string address = socket == 0 ? "0000:1b:00.0" : "0000:9b:00.0";
  host.link(net + "/device", "../../../bus/pci/devices/" + address);
  host.write(fmt::format("/proc/sys/net/ipv4/conf/ens{}/rp_filter", socket), "0\n");

  const std::string rdma = fmt::format("/sys/class/infiniband/mlx5_{}", socket);
  host.write(rdma + "/board_id", "MT_0000000970\n");
  host.write(rdma + "/fw_ver", "28.39.2048\n");
  const std::string port = rdma + "/ports/1";
  host.write(port + "/state", "4: ACTIVE\n");
  host.write(port + "/phys_state", "5: LinkUp\n");
  host.write(port + "/link_layer", "Ethernet\n");
  host.write(port + "/rate", "200 Gb/sec (4X HDR)\n");
  host.write(port + "/counters/link_downed", "1\n");
  const std::string local = fmt::format("fe80:0000:0000:0000:ba3f:d2ff:fe00:000{}\n", socket);
  const std::string ipv4 = fmt::format("0000:0000:0000:0000:0000:ffff:0a00:{:02}01\n", socket);
  int index = 0;
  for (const std::string& gid : {local, local, ipv4, ipv4}) {
    host.write(fmt::format("{}/gids/{}", port, index), gid);
    host.write(fmt::format("{}/gid_attrs/types/{}", port, index),
               index % 2 == 0 ? "IB/RoCE v1\n" : "RoCE v2\n");
    host.write(fmt::format("{}/gid_attrs/ndevs/{}", port, index), fmt::format("ens{}\n", socket));
    ++index;
  }
  host.write(port + "/gids/4", "0000:0000:0000:0000:0000:0000:0000:0000\n");
  host.write(fmt::format("/sys/class/infiniband_verbs/uverbs{}/ibdev", socket),
             fmt::format("mlx5_{}\n", socket));
  host.write(fmt::format("/dev/infiniband/uverbs{}", socket), "");
}

}  // namespace

void MadeUpHost::make_healthy() {
  add_processes(*this);
  add_kernel(*this);
  add_cpus(*this);
  write("/sys/class/net/lo/flags", "0x9\n");
  write("/sys/class/net/lo/ifindex", "1\n");
  for (const int socket : {0, 1}) {
    add_socket(*this, socket);
    add_nic(*this, socket);
  }
}

}  // namespace tutti::doctor::test
