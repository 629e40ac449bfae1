#include "runtime/connection_lost.h"

#include "base/error.h"

namespace tutti::runtime {

Status connection_lost(int rank, int peer, std::string_view call, const transport::Link& link) {
  const std::string_view reason = link.broken_reason();
  if (link.own_fault()) {
    return rank_error(Code::peer_failed, rank, "rank {} failed in {}: {}", rank, call, reason);
  }
  return rank_error(Code::peer_failed, peer,
                    "rank {} lost its connection to rank {} in {}: {}; look at that rank's output",
                    rank, peer, call, reason.empty() ? "that rank closed it" : reason);
}

}  // namespace tutti::runtime
