#include "doctor/checks.h"

#include <array>

namespace tutti::doctor {
namespace {

// Codes are stable: scripts and people's notes hold them. One that is dropped is not used again.
constexpr auto kChecks = std::to_array<Check>({
    {"T-MEMLOCK", Severity::error,
     "limit of locked memory, where RDMA devices are: /proc/self/limits", check_memlock},
    {"T-NOFILE", Severity::warning, "limit of open files: /proc/self/limits", check_open_files},
    {"T-PIDS", Severity::warning, "limits of processes and threads: /proc/self/limits, pids.max",
     check_processes},
    {"T-SHM-SIZE", Severity::warning, "size of /dev/shm", check_shm_size},
    {"T-SHM-FREE", Severity::warning, "free part of /dev/shm, and who fills it", check_shm_free},
    {"T-MEMORY", Severity::warning, "memory left: /proc/meminfo, memory.max", check_memory},
    {"T-CPU-QUOTA", Severity::warning, "time of the CPUs: cpu.max, cpu.cfs_quota_us",
     check_cpu_quota},
    {"T-CPUSET", Severity::warning, "CPUs and NUMA nodes that may be used: /proc/self/status",
     check_cpu_set},
    {"T-GOVERNOR", Severity::warning, "frequency governor of the CPUs: cpufreq/scaling_governor",
     check_governor},
    {"T-NUMA-BALANCING", Severity::warning,
     "automatic NUMA balancing: /proc/sys/kernel/numa_balancing", check_numa_balancing},
    {"T-THP", Severity::note, "transparent huge pages: /sys/kernel/mm/transparent_hugepage",
     check_huge_pages},
    {"T-PTRACE", Severity::warning, "copies between ranks: /proc/sys/kernel/yama/ptrace_scope",
     check_ptrace},
    {"T-SECCOMP", Severity::note, "filter of system calls: /proc/self/status", check_seccomp},
    {"T-USERFAULTFD", Severity::warning, "watching RDMA registrations: kernel release and build",
     check_userfaultfd},
    {"T-LOOPBACK", Severity::error, "interface lo: /sys/class/net/lo/flags", check_loopback},
    {"T-NIC-LINK", Severity::warning, "NICs that are up, but have no link: /sys/class/net",
     check_nic_link},
    {"T-NIC-SPEED", Severity::warning, "NICs slower than others of their model: /sys/class/net",
     check_nic_speed},
    {"T-MTU-MIX", Severity::warning, "MTUs that differ among NICs of equal speed", check_mtu_mix},
    {"T-MTU-JUMBO", Severity::warning, "jumbo frames on NICs of 10 Gb/s or more, or with RoCE",
     check_mtu_jumbo},
    {"T-TCP-BUFFER", Severity::warning,
     "largest TCP buffers, where NICs are fast: tcp_rmem, tcp_wmem", check_tcp_buffers},
    {"T-BACKLOG", Severity::warning, "connections that may wait: /proc/sys/net/core/somaxconn",
     check_backlog},
    {"T-RP-FILTER", Severity::note, "strict reverse path filter with several NICs: rp_filter",
     check_reverse_path},
    {"T-RDMA-ACCESS", Severity::error, "device files of RDMA devices: /dev/infiniband",
     check_rdma_access},
    {"T-RDMA-PORT", Severity::warning, "state of RDMA ports: /sys/class/infiniband",
     check_rdma_port},
    {"T-RDMA-RATE", Severity::warning,
     "RDMA ports slower than others of their model, or on one lane", check_rdma_rate},
    {"T-RDMA-FLAP", Severity::warning, "RDMA ports that lose their link: counters/link_downed",
     check_rdma_flaps},
    {"T-RDMA-FIRMWARE", Severity::note, "firmware that differs among devices of one model: fw_ver",
     check_rdma_firmware},
    {"T-ROCE-V1", Severity::error, "RoCE ports without a GID of RoCE v2: gids, gid_attrs/types",
     check_roce_v1},
    {"T-ROCE-ADDRESS", Severity::warning, "RoCE ports with link-local GIDs only",
     check_roce_address},
    {"T-PCI-WIDTH", Severity::warning, "lanes of the PCI Express links of GPUs, NICs and switches",
     check_pci_width},
    {"T-PCI-SPEED", Severity::warning, "speed of the PCI Express links of GPUs, NICs and switches",
     check_pci_speed},
    {"T-ACS", Severity::warning, "ACS of the bridges above GPUs and RDMA NICs: config", check_acs},
    {"T-IOMMU", Severity::warning, "address translation of GPUs and RDMA NICs: iommu_group/type",
     check_iommu},
    {"T-GPUDIRECT", Severity::warning, "RDMA into the memory of GPUs: nvidia_peermem, DMA buffers",
     check_gpu_direct},
});

}  // namespace

std::span<const Check> checks() {
  return kChecks;
}

}  // namespace tutti::doctor
