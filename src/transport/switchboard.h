// The switchboard: where all connections between the ranks of one communicator arrive.
//
// One TCP listener per address family and one abstract Unix socket. Of each pair the higher rank
// dials and the lower one takes. A connection starts with a hello (magic, version, the dialled
// end's Card::process, the dialler's rank, purpose, index) and is used only after the taker's
// answer, which proves that the right process was reached: an address that leads elsewhere (a
// bridge that every host has, a NAT) is dropped and the next one tried. Connections for another
// purpose wait in a mailbox. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/fd.h"
#include "transport/card.h"
#include "tutti/config.h"
#include "tutti/status.h"

namespace tutti::transport {

enum class Purpose : std::uint8_t { control, node, tcp, rdma };

class Switchboard {
 public:
  // Opens the listeners and fills card.unix_name and card.addresses.
  static Result<std::unique_ptr<Switchboard>> open(const Config& config, Card& card);
  virtual ~Switchboard() = default;

  // Everyone's cards, by rank; called once after the all-gather. Decides which addresses may be
  // dialled: loopback only when all ranks share this host.
  virtual void set_cards(std::vector<Card> cards) = 0;

  // An open stream to `peer` over TCP, for this purpose and index: dials when peer is the lower
  // rank, takes when it is the higher one. `stop` is asked now and then and ends the wait with its
  // error.
  virtual Result<Fd> connect_tcp(int peer, Purpose purpose, int index, Deadline deadline,
                                 const std::function<Status()>& stop) = 0;
  // The same over the Unix socket, for ranks of one host.
  virtual Result<Fd> connect_unix(int peer, Purpose purpose, int index, Deadline deadline,
                                  const std::function<Status()>& stop) = 0;
};

}  // namespace tutti::transport
