// Failures of the verbs in words: what was being done, with which device, port, GID and queue pair,
// towards whom, what the cause most likely is and what to do about it.
//
// Values and pure functions, except that set_up_error() reads this process's memlock limit.
// Thread-safe. Cold: the datapath keeps codes, and comes here once something has failed.
#pragma once

#include <infiniband/verbs.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "transport/rdma/rail.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

// A work completion that is not a success, with what is known of both ends of its queue pair.
struct CompletionFault {
  ibv_wc_status status = IBV_WC_SUCCESS;
  std::uint32_t vendor_error = 0;
  bool sending = false;  // a write to the peer, else a receive from it
  RailAddress mine;
  RailAddress theirs;
  std::uint32_t queue_pair = 0;
  std::uint32_t peer_queue_pair = 0;
  int peer = -1;
  std::string peer_host;
  // Of the queue pair, as Config::rdma_timeout and Config::rdma_retry_count.
  int timeout = 18;
  int retry_count = 6;
};

// One paragraph: what failed, where, the likely cause and the remedy.
std::string describe(const CompletionFault& fault);

// unavailable: the set-up call ("reg_mr", "create_cq", ...; without ibv_) on `rail` failed with the
// errno `number`. `purpose` says what it was for, when that helps ("for rank 3 on host n7").
Status set_up_error(std::string_view call, int number, const RailAddress& rail,
                    std::string_view purpose = {});

}  // namespace tutti::transport::rdma
