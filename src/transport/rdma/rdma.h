// rdma: joins ranks whose hosts have InfiniBand or RoCE, over reliable connected queue pairs.
//
// Set-up; the datapath is lane.h. Connecting takes a TCP stream from the switchboard for the
// handshake, and keeps it for what must not depend on any rail: agreeing about a rail that failed,
// and noticing that the peer is gone.
//
// Lifetime: the switchboard outlives the transport, and the transport its links. One thread at a
// time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/card.h"
#include "transport/rdma/rail.h"
#include "transport/rdma/verbs.h"
#include "transport/switchboard.h"
#include "transport/transport.h"
#include "tutti/config.h"
#include "tutti/status.h"

namespace tutti::transport {

namespace rdma {

// The devices of this process, opened for one communicator.
struct Devices {
  std::unique_ptr<Verbs> verbs;  // null: the library is not there
  Rails opened;
};

// Loads the library and opens the rails that `config` allows. That there are none is no error:
// opened.reason says why. invalid_environment for settings that name what is not there.
Result<Devices> open_devices(const Config& config);

}  // namespace rdma

// Per lane and direction 8 slots of 128 KiB, twice (to send from, to receive into): 8 MiB for a
// link of 4 lanes. In flight at once: 4 MiB, the product of 400 Gb/s and 80 us.
inline constexpr Caps kRdmaCaps{.slot_bytes = 128 * 1024, .slots = 8, .borrow_bytes = 16 * 1024};

// Reaches peers whose card says that they have rails, if there are any here. `stop` is asked while
// connecting and ends it with its error; may be empty.
Result<std::unique_ptr<Transport>> make_rdma(int rank, std::vector<Card> cards,
                                             Switchboard& switchboard, rdma::Devices devices,
                                             const Config& config, const Caps& caps = kRdmaCaps,
                                             std::function<Status()> stop = {});

}  // namespace tutti::transport
