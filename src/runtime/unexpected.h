// The errors of messages that a rank does not expect, or expects and does not get. Cold.
#pragma once

#include <cstdint>

#include "runtime/call.h"
#include "tutti/status.h"

namespace tutti::runtime {

// Rank `rank`, in a collective, met what `peer` sent by a call of point to point with that tag.
Status met_send(const Call& call, int rank, int peer, std::uint64_t tag);

// Of an uneven all-to-all, in which what one rank sends is not what the other expects. A block
// without elements has no message, so that some are found later than others.

// Rank `rank` expects so many elements from `sender`, and something else or nothing comes.
Status unexpected_count(const Call& call, int rank, int sender, std::int64_t expected);

// Rank `rank` expected nothing from `sender` in the call, which is over, and finds something.
Status left_over_block(const Call& call, int rank, int sender);

}  // namespace tutti::runtime
