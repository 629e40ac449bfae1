// What a Communicator owns, in the order of its construction.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "runtime/binding.h"
#include "runtime/control.h"
#include "runtime/engine.h"
#include "runtime/executor.h"
#include "runtime/operation.h"
#include "runtime/selector.h"
#include "runtime/waiter.h"
#include "runtime/work.h"
#include "transport/card.h"
#include "transport/node.h"
#include "transport/switchboard.h"
#include "transport/transport.h"
#include "tutti/communicator.h"

namespace tutti {

struct Communicator::Impl {
  static Result<std::unique_ptr<Impl>> create(Bootstrap& bootstrap, const Config& config);
  ~Impl();

  // Checks, numbers and runs a call on this thread, after all asynchronous ones.
  Status run(runtime::Operation operation);
  // Checks a call and queues it.
  Work start(runtime::Operation operation);

  Config config;
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 1;
  std::vector<transport::Card> cards;
  std::unique_ptr<transport::Switchboard> switchboard;
  std::unique_ptr<transport::Node> node;
  std::unique_ptr<runtime::Control> control;
  std::vector<std::unique_ptr<transport::Transport>> transports;
  std::string rdma_reason;  // what of RDMA cannot be used here, or empty
  std::optional<runtime::Selector> selector;
  // Null in a communicator of one rank, which never waits.
  std::unique_ptr<runtime::Waiter> waiter;
  std::unique_ptr<runtime::Engine> engine;  // null unless all ranks share a node
  std::unique_ptr<runtime::Links> links;
  std::unique_ptr<runtime::Executor> executor;
  std::map<std::tuple<const void*, int>, std::unique_ptr<runtime::Binding>> bindings;
  std::uint64_t sequence = 0;
  // Last: its thread uses everything above.
  std::unique_ptr<runtime::WorkQueue> queue;

 private:
  Status connect(Bootstrap& bootstrap);
  Status gather_cards(Bootstrap& bootstrap);
  Status make_transports(Bootstrap& bootstrap);
  Status make_rdma(Bootstrap& bootstrap);
  const plan::LinkModel& slowest_link(bool one_node) const;
  Status check_reachable() const;
  std::string why_not(const transport::Card& peer) const;

  Status execute(const runtime::Operation& operation);
  Status dispatch(const runtime::Operation& operation);
  Result<const runtime::Binding*> binding(const collectives::Algorithm& algorithm,
                                          const runtime::Operation& operation);
};

}  // namespace tutti
