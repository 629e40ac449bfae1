// Two ranks and the RDMA link between them, without a communicator: what rdma_perf measures.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/deadline.h"
#include "transport/rdma/rdma.h"
#include "transport/switchboard.h"
#include "transport/transport.h"
#include "tutti/bootstrap.h"
#include "tutti/config.h"
#include "tutti/status.h"

namespace tutti::perf {

class RdmaPair {
 public:
  // Collective over the two ranks.
  static Result<std::unique_ptr<RdmaPair>> create(const Config& config, int lanes);

  int rank() const { return rank_; }
  transport::Link& link() { return *link_; }
  const std::string& rails() const { return rails_; }

  // As a communicator waits: looks, then looks that offer the processor to others, then sleep.
  static constexpr int kSpins = 500;
  // Never sleeps within any latency that is worth measuring, as ib_write_lat never does.
  static constexpr int kLatencySpins = 1'000'000;

  // Repeats `step` until it is true, `spins` times without a pause. peer_failed, with the reason,
  // once the link is of no use, and timed_out when nothing moves for a minute.
  Status until(const std::function<bool()>& step, int spins = kSpins);

 private:
  RdmaPair() = default;

  int rank_ = 0;
  std::string rails_;  // "rxe0 port 1, GID ..; rxe1 .."
  std::unique_ptr<transport::Switchboard> switchboard_;
  std::unique_ptr<transport::Transport> transport_;
  std::unique_ptr<transport::Link> link_;
};

}  // namespace tutti::perf
