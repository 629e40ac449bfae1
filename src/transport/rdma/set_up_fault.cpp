#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "transport/rdma/fault.h"

namespace tutti::transport::rdma {
namespace {

// Why one call fails with one errno. {device} and {port} in the texts are the rail's.
struct Cause {
  std::string_view call;  // or the beginning of several; empty: every one
  int number;             // 0: every errno
  std::string_view cause;
  std::string_view remedy;
};

constexpr std::string_view kDeviceFile =
    "`ls -l /dev/infiniband` must show a uverbs file per device that this user may read and write; "
    "in a container pass `--device=/dev/infiniband` (Kubernetes: the RDMA device plug-in)";
constexpr std::string_view kAnswersNot =
    "look for {device} in `dmesg`, and see whether `ibv_devinfo -d {device}` still shows it";
constexpr std::string_view kFewer =
    "end other jobs on this host, use fewer lanes (TUTTI_LANES) or fewer devices "
    "(TUTTI_RDMA_DEVICES), and see the limits with `ibv_devinfo -d {device} -v`";
constexpr std::string_view kRoute =
    "see the addresses on both hosts (`ip addr`), the way from one to the other (`ip route get "
    "ADDRESS`) and the neighbour (`ip neigh`): rails that are paired must be in one subnet or be "
    "routed; choose devices with TUTTI_RDMA_DEVICES and the GID with TUTTI_RDMA_GID_INDEX";

// The first that matches counts, so special ones go before general ones.
constexpr std::array kCauses = std::to_array<Cause>({
    {"open_device", EACCES, "this user may not open the device's file", kDeviceFile},
    {"open_device", EPERM, "this user or container may not open the device's file", kDeviceFile},
    {"open_device", ENOENT, "the device's file is not there, as in a container without it",
     kDeviceFile},
    {"open_device", ENXIO, "the device is gone or its file belongs to another one", kDeviceFile},
    {"open_device", ENODEV, "the device is gone or its file belongs to another one", kDeviceFile},
    {"query_", 0, "the device does not answer: it was reset, unplugged, or its firmware hangs",
     kAnswersNot},
    {"create_comp_channel", EMFILE, "this process has too many open descriptors",
     "raise the limit (`ulimit -n`)"},
    {"alloc_pd", ENOMEM, "the device has no protection domain left", kFewer},
    {"create_cq", EINVAL, "the completion queue is deeper than {device} allows", kFewer},
    {"create_qp", EINVAL, "the queue pair is deeper than {device} allows", kFewer},
    {"create_qp", EOPNOTSUPP, "{device} has no reliable connections",
     "leave it out: TUTTI_RDMA_DEVICES='^{device}'"},
    {"reg_mr", EFAULT,
     "the memory is not mapped, is read-only, or is device memory that the kernel cannot reach",
     "pass a buffer that is allocated and writable; for GPU memory load nvidia-peermem or use a "
     "kernel with dma-buf"},
    {"reg_mr", EINVAL, "the memory region is empty or larger than {device} allows", kFewer},
    {"reg_dmabuf_mr", EOPNOTSUPP, "{device}, its driver or the kernel cannot map dma-buf memory",
     "use Linux 5.12 and rdma-core 34 or newer, or load nvidia-peermem"},
    {"modify_qp", EINVAL,
     "the queue pair refuses the peer's address: the GID chosen here has gone (its address was "
     "removed or changed), the peer's is of another kind, or the MTU exceeds the port's",
     kRoute},
    {"modify_qp", ENETUNREACH, "there is no route from this rail's GID to the peer's", kRoute},
    {"modify_qp", EHOSTUNREACH, "the peer's GID cannot be reached from this rail", kRoute},
    // The kernel's answer to a missing route, too, once it has tried for a second.
    {"modify_qp", ETIMEDOUT,
     "nobody answered for the peer's GID: there is no route to it, or the neighbour could not be "
     "resolved (host or link down, another VLAN)",
     kRoute},
    {"modify_qp", ENODEV,
     "the network interface of this rail's GID is gone or down (`ip link` shows it)", kRoute},
    {"modify_qp", EACCES, "this process may not use that service level or partition",
     "unset TUTTI_RDMA_SERVICE_LEVEL, and ask the fabric's administrator for the partition"},
    {"modify_qp", EPERM, "this process may not use that service level or partition",
     "unset TUTTI_RDMA_SERVICE_LEVEL, and ask the fabric's administrator for the partition"},
    {"", ENOMEM, "the host or {device} is out of memory", kFewer},
    {"", EMFILE, "this process has too many open descriptors", "raise the limit (`ulimit -n`)"},
    {"", EIO, "the device failed", kAnswersNot},
    {"", 0, "not known", kAnswersNot},
});

struct Advice {
  std::string cause;
  std::string remedy;
};

// Pages that a device reads and writes are locked, and so are the queues of many drivers. The
// kernel says ENOMEM above the limit and EPERM when it is zero.
bool locks_memory(std::string_view call, int number) {
  constexpr std::array<std::string_view, 3> kCalls = {"reg_mr", "create_cq", "create_qp"};
  const bool locking = std::find(kCalls.begin(), kCalls.end(), call) != kCalls.end();
  return locking && (number == ENOMEM || number == EPERM);
}

Advice memlock_advice(const rlimit& limit) {
  return {fmt::format("RDMA locks memory, and this process may lock {} bytes only "
                      "(RLIMIT_MEMLOCK)",
                      limit.rlim_cur),
          "raise the limit: `ulimit -l unlimited` in the shell that starts the job; for every "
          "login a file in /etc/security/limits.d with '* - memlock unlimited'; in a container "
          "`--ulimit memlock=-1 --cap-add=IPC_LOCK`; under Slurm LimitMEMLOCK=infinity for slurmd "
          "and PropagateResourceLimitsExcept=MEMLOCK in slurm.conf"};
}

Advice advice(std::string_view call, int number, const RailAddress& rail) {
  rlimit limit{};
  if (locks_memory(call, number) && ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
      limit.rlim_cur != RLIM_INFINITY) {
    return memlock_advice(limit);
  }
  const auto row = std::find_if(kCauses.begin(), kCauses.end(), [&](const Cause& one) {
    return call.starts_with(one.call) && (one.number == 0 || one.number == number);
  });
  const auto fill = [&](std::string_view text) {
    return fmt::format(fmt::runtime(text), fmt::arg("device", rail.device),
                       fmt::arg("port", rail.port));
  };
  return {fill(row->cause), fill(row->remedy)};  // the last row matches everything
}

}  // namespace

Status set_up_error(std::string_view call, int number, const RailAddress& rail,
                    std::string_view purpose) {
  const Advice known = advice(call, number, rail);
  return error(Code::unavailable, "ibv_{} failed on {}{}{}: {}. Likely cause: {}. What to do: {}",
               call, describe(rail), purpose.empty() ? "" : " ", purpose, errno_text(number),
               known.cause, known.remedy);
}

}  // namespace tutti::transport::rdma
