// The error of a link that is no longer open. Cold.
#pragma once

#include <string_view>

#include "transport/transport.h"
#include "tutti/status.h"

namespace tutti::runtime {

// Of rank `rank`, in the call `call`. peer_failed names `peer`, or `rank` itself where its own
// memory is at fault.
Status connection_lost(int rank, int peer, std::string_view call, const transport::Link& link);

}  // namespace tutti::runtime
