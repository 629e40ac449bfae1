// shm: joins processes of one host through slots in the node's memory.
//
// Lifetime: the node outlives the transport and its links. Used by one thread at a time.
#pragma once

#include <memory>

#include "transport/node.h"
#include "transport/slot_ring.h"
#include "transport/transport.h"

namespace tutti::transport {

std::unique_ptr<Transport> make_shm(Node& node, const Caps& caps = kSlotCaps);

}  // namespace tutti::transport
