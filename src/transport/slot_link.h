// Links over shared memory: the cold side that loopback and shm have in common.
//
// A link joins two ranks of one node through the two link areas between them. No handshake is
// needed: an area is zero-filled at first, zero is the empty ring, and each end marks itself open
// when it comes. A pair of ranks is joined once per node.
#pragma once

#include <memory>

#include "base/deadline.h"
#include "transport/node.h"
#include "transport/transport.h"
#include "tutti/status.h"

namespace tutti::transport {

// Joins this rank with `peer`, a global rank of the same node. `node` outlives the link.
Result<std::unique_ptr<Link>> connect_slots(Node& node, int peer, int lanes, const Caps& caps);

}  // namespace tutti::transport
