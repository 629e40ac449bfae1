// tcp: joins any two ranks that a network joins, one connection per lane.
//
// Set-up and tear-down; the datapath is recv_port.h and send_port.h. Several connections per pair
// let the kernel work on them in parallel and, where packets are spread by connection, use several
// network paths.
//
// Lifetime: the switchboard outlives the transport; links stand alone. Used by one thread at a
// time.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "transport/card.h"
#include "transport/switchboard.h"
#include "transport/transport.h"

namespace tutti::transport {

// 4 slots to send from and 1 to read into per lane: 660 KiB, hence 2.6 MiB for 4 lanes. The kernel
// sizes its own socket buffers (net.ipv4.tcp_wmem, tcp_rmem): a fixed SO_SNDBUF or SO_RCVBUF would
// switch that off and be wrong for either a short or a long path.
inline constexpr Caps kTcpCaps{.slot_bytes = 128 * 1024, .slots = 4, .borrow_bytes = 4096};

// `stop` is asked while connecting and ends it with its error; may be empty.
std::unique_ptr<Transport> make_tcp(int rank, std::vector<Card> cards, Switchboard& switchboard,
                                    const Caps& caps = kTcpCaps, std::function<Status()> stop = {});

}  // namespace tutti::transport
