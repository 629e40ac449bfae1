// What a communicator of one rank has, over RDMA devices in memory.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/binding.h"
#include "runtime/control.h"
#include "runtime/waiter.h"
#include "transport/end_context.h"
#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/rdma.h"

namespace tutti::runtime {

inline constexpr int kRdmaLanes = 2;

struct RdmaRank {
  transport::EndContext context;
  std::unique_ptr<Control> control;
  std::unique_ptr<transport::Transport> transport;
  std::unique_ptr<Waiter> waiter;
  std::unique_ptr<Links> links;
};

// Collective. Each rank is on a host of its own, "host0" and so on, with two rails.
inline Result<RdmaRank> make_rdma_rank(Bootstrap& bootstrap, transport::rdma::FakeFabric& fabric) {
  Config config;
  config.transports = {"rdma"};
  RdmaRank made;
  TUTTI_TRY_ASSIGN(made.context, transport::make_end_context(bootstrap, config, {4096, 4096}));
  const int rank = made.context.rank;
  transport::rdma::Devices devices;
  devices.verbs = fabric.verbs("host" + std::to_string(rank));
  TUTTI_TRY_ASSIGN(devices.opened, transport::rdma::open_rails(*devices.verbs, config));
  for (transport::Card& card : made.context.cards) card.rdma_rails = 2;
  transport::Node& node = *made.context.node;
  TUTTI_TRY_ASSIGN(made.control, Control::start(rank, made.context.cards, *made.context.switchboard,
                                                Deadline::after_ms(transport::kTestDeadlineMs),
                                                [&node] { node.ring_self(); }));
  TUTTI_TRY_ASSIGN(made.transport,
                   transport::make_rdma(rank, made.context.cards, *made.context.switchboard,
                                        std::move(devices), config));
  made.waiter = std::make_unique<Waiter>(node, *made.control, transport::kTestDeadlineMs,
                                         Patience{.spins = 50, .yields = 50});
  made.links = std::make_unique<Links>(std::vector{made.transport.get()}, kRdmaLanes,
                                       transport::kTestDeadlineMs);
  return made;
}

}  // namespace tutti::runtime
