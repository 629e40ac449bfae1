// All checks, one function each: from the files of a host to what they show. Each opens with why
// it matters in the source, and has its section in docs/doctor.md. Pure but for reading the host;
// thread-safe.
#pragma once

#include <span>

#include "doctor/check.h"

namespace tutti::doctor {

// The table: every check, in the order in which they run and print.
std::span<const Check> checks();

// limits.cpp
Outcome check_memlock(const Host& host);
Outcome check_open_files(const Host& host);
Outcome check_processes(const Host& host);
// shared_memory.cpp
Outcome check_shm_size(const Host& host);
Outcome check_shm_free(const Host& host);
// container.cpp
Outcome check_cpu_quota(const Host& host);
Outcome check_cpu_set(const Host& host);
Outcome check_memory(const Host& host);
// kernel.cpp
Outcome check_ptrace(const Host& host);
Outcome check_seccomp(const Host& host);
Outcome check_userfaultfd(const Host& host);
Outcome check_numa_balancing(const Host& host);
Outcome check_huge_pages(const Host& host);
// governor.cpp
Outcome check_governor(const Host& host);
// ethernet.cpp
Outcome check_nic_link(const Host& host);
Outcome check_nic_speed(const Host& host);
Outcome check_mtu_mix(const Host& host);
Outcome check_mtu_jumbo(const Host& host);
// ip.cpp
Outcome check_loopback(const Host& host);
Outcome check_tcp_buffers(const Host& host);
Outcome check_backlog(const Host& host);
Outcome check_reverse_path(const Host& host);
// rdma.cpp
Outcome check_rdma_port(const Host& host);
Outcome check_rdma_rate(const Host& host);
Outcome check_rdma_flaps(const Host& host);
Outcome check_rdma_firmware(const Host& host);
// rdma_access.cpp
Outcome check_rdma_access(const Host& host);
// gids.cpp
Outcome check_roce_v1(const Host& host);
Outcome check_roce_address(const Host& host);
// pci_link.cpp
Outcome check_pci_width(const Host& host);
Outcome check_pci_speed(const Host& host);
// peer_access.cpp
Outcome check_acs(const Host& host);
Outcome check_iommu(const Host& host);
// gpu_direct.cpp
Outcome check_gpu_direct(const Host& host);

}  // namespace tutti::doctor
