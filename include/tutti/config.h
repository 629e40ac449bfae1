// Everything that can be configured, with defaults. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tutti/status.h"

namespace tutti {

// The settings of a communicator.
struct Config {
  // Longest wait of one operation for its peers. TUTTI_TIMEOUT_MS
  std::int64_t timeout_ms = 600'000;
  // Longest wait for the job to assemble and for one connection. TUTTI_CONNECT_TIMEOUT_MS
  std::int64_t connect_timeout_ms = 120'000;
  // Forces algorithms, for example "all_reduce:ring,broadcast:chain". TUTTI_ALGORITHM
  std::string algorithm;
  // Transports that may be used, best first; each pair of ranks takes the first that connects
  // it ("loopback" joins ranks of one process, "rdma" is InfiniBand and RoCE). TUTTI_TRANSPORT, for
  // example "shm,tcp"
  std::vector<std::string> transports = {"loopback", "shm", "rdma", "tcp"};
  // Network interfaces that TCP may use: names or prefixes separated by commas; a leading ^
  // excludes them, a leading = demands exact names. Empty: any that works. TUTTI_SOCKET_IFNAME
  std::string socket_ifname;
  // RDMA devices that may be used, as NCCL_IB_HCA: names or prefixes separated by commas, each with
  // a port if it is one of several ("mlx5_0:1"); a leading ^ excludes them, a leading = demands
  // exact names. The order is that of the rails. Empty: every active port, by name.
  // TUTTI_RDMA_DEVICES
  std::string rdma_devices;
  // Entry of every port's GID table, 0 to 255. -1: by rule (RoCE v2 with an IPv4 address, else with
  // an IPv6 address; 0 on InfiniBand). TUTTI_RDMA_GID_INDEX
  int rdma_gid_index = -1;
  // Traffic class of RDMA packets, 0 to 255: on RoCE the IP header's, four times the DSCP.
  // TUTTI_RDMA_TRAFFIC_CLASS
  int rdma_traffic_class = 0;
  // Service level of RDMA packets, 0 to 15: on RoCE the VLAN's priority. TUTTI_RDMA_SERVICE_LEVEL
  int rdma_service_level = 0;
  // Wait for a packet's acknowledgement before it is sent again, 1 to 31: 4.096 us * 2^n, so that
  // 18 is 1.07 s. TUTTI_RDMA_TIMEOUT
  int rdma_timeout = 18;
  // How often a packet is sent again before its path counts as broken, 0 to 7.
  // Soft-RoCE takes 7 as for ever. TUTTI_RDMA_RETRY_COUNT
  int rdma_retry_count = 6;
  // Parallel lanes of one large operation, each with its own slots or TCP connection per peer,
  // 1 to 8. TUTTI_LANES
  int lanes = 4;
  // Threads of a rank that copy and reduce long blocks of memory, the calling one included, when
  // all ranks share a host: 1 to 16. 0: as many as there are cores for each rank, 4 at most; hence
  // 1 where the ranks fill the cores. TUTTI_THREADS
  int threads = 0;

  // Explicit place in the job; -1 and empty mean: ask the launcher's variables.
  // TUTTI_RANK, TUTTI_SIZE, TUTTI_LOCAL_RANK, TUTTI_LOCAL_SIZE
  int rank = -1;
  int size = -1;
  int local_rank = -1;
  int local_size = -1;
  // host:port where rank 0 listens while the job assembles. TUTTI_RENDEZVOUS
  std::string rendezvous;

  // Reads the TUTTI_ variables named above over the defaults. An unknown TUTTI_ name or a value
  // that does not parse is invalid_environment naming the variable, its value and the nearest known
  // name.
  TUTTI_API static Result<Config> from_env();
};

}  // namespace tutti
