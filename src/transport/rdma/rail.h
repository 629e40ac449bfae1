// A rail: one port of one RDMA device, opened and ready for queue pairs.
//
// Owns the device's context, protection domain, completion channel and completion queue. One set of
// rails belongs to one communicator and so to one thread at a time: its completion queue needs no
// lock. Set-up only; the datapath uses the raw pointers.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/rdma/verbs.h"
#include "tutti/config.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

// What a rail is to others: what a peer needs to address it, and what messages call it.
struct RailAddress {
  std::string device;  // "mlx5_0"
  std::uint8_t port = 1;
  bool infiniband = false;  // else Ethernet: RoCE
  std::uint8_t gid_index = 0;
  ibv_gid gid{};
  std::uint16_t lid = 0;  // InfiniBand only
  ibv_mtu mtu = IBV_MTU_1024;
};

// "mlx5_0 port 1, GID 3 ::ffff:10.0.0.1" for RoCE, "mlx5_0 port 1, LID 7" for InfiniBand.
std::string describe(const RailAddress& address);

// Entries of a rail's completion queue, as far as the device has them: 4 MiB. See Poller::reserve.
inline constexpr int kCompletions = 65536;

class Rail {
 public:
  // Takes over an open context. Allocates the domain, the channel and a completion queue of
  // `completions` entries, or as many as the device allows; sets the channel and the context's
  // event descriptor non-blocking. On failure everything is given back, the context too.
  static Result<std::unique_ptr<Rail>> create(Verbs& verbs, ibv_context* context,
                                              RailAddress address, int completions);
  Rail(const Rail&) = delete;
  Rail& operator=(const Rail&) = delete;
  ~Rail();

  Verbs& verbs() const { return verbs_; }
  ibv_context* context() const { return context_; }
  ibv_pd* pd() const { return pd_; }
  ibv_comp_channel* channel() const { return channel_; }
  ibv_cq* cq() const { return cq_; }
  const RailAddress& address() const { return address_; }
  const ibv_device_attr& limits() const { return limits_; }

 private:
  Rail(Verbs& verbs, ibv_context* context, RailAddress address);

  Verbs& verbs_;
  ibv_context* context_;
  RailAddress address_;
  ibv_device_attr limits_{};
  ibv_pd* pd_ = nullptr;
  ibv_comp_channel* channel_ = nullptr;
  ibv_cq* cq_ = nullptr;
};

// What open_rails() found. No rail is not an error by itself: `reason` then says why, in one
// sentence ("no RDMA device is there", "rxe0 port 1 is down", ...).
struct Rails {
  std::vector<std::unique_ptr<Rail>> rails;
  std::string reason;
};

// Opens every allowed active port, in the order of Config::rdma_devices or else by name, and at
// most kRailsMax of them. invalid_environment when the configuration names a device, port or GID
// that is not there, with those that are. A port that cannot be used is left out and goes into
// `reason`. `sysfs` is where the kernel says more about what is missing.
inline constexpr std::size_t kRailsMax = 8;
// Entries of each rail's completion queue, where the device allows as many: 4 MiB at 64 bytes each.
inline constexpr int kRailCompletions = 65536;
Result<Rails> open_rails(Verbs& verbs, const Config& config, const std::string& sysfs = "/sys");

}  // namespace tutti::transport::rdma
