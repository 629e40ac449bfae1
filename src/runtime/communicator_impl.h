// What a Communicator owns, in the order of its construction.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "base/local_hub.h"
#include "runtime/batch.h"
#include "runtime/binding.h"
#include "runtime/control.h"
#include "runtime/crew.h"
#include "runtime/engine.h"
#include "runtime/executor.h"
#include "runtime/known_memory.h"
#include "runtime/last_checked.h"
#include "runtime/operation.h"
#include "runtime/point_to_point.h"
#include "runtime/selector.h"
#include "runtime/uneven_all_to_all.h"
#include "runtime/waiter.h"
#include "runtime/work.h"
#include "transport/card.h"
#include "transport/heap.h"
#include "transport/node.h"
#include "transport/switchboard.h"
#include "transport/transport.h"
#include "tutti/communicator.h"

namespace tutti {

struct Communicator::Impl {
  static Result<std::unique_ptr<Impl>> create(Bootstrap& bootstrap, const Config& config);
  ~Impl();

  // ---- Calls (communicator_run.cpp)

  // Checks, numbers and runs a call on this thread, after all asynchronous ones; in a group, keeps
  // it for later.
  Status run(runtime::Operation&& operation);
  Status run(std::span<const runtime::Transfer> transfers);
  // Checks a call and queues it; in a group, keeps it for later.
  Work start(runtime::Operation operation);
  Work start(std::span<const runtime::Transfer> transfers);

  // The error that ended the communicator, or success.
  Status failure() const;

  // ---- Groups (communicator_group.cpp)

  // The calls that are being recorded.
  struct Group {
    runtime::Batch batch;
    Status failure;  // of the first invalid call
    std::shared_ptr<Work::State> done = std::make_shared<Work::State>();
  };
  // Runs `calls` and returns what they recorded; null when they were part of an outer group.
  std::shared_ptr<Group> record(const std::function<void()>& calls);
  Status finish(const std::shared_ptr<Group>& recorded);
  Work finish_async(const std::shared_ptr<Group>& recorded);
  // Checks a recorded group and numbers its calls.
  Status close(Group& recorded);
  Status record_call(const runtime::Operation& operation, Status checked);
  Status record_calls(std::span<const runtime::Transfer> transfers);

  // ---- Other communicators (communicator_split.cpp)

  Result<std::optional<Communicator>> split(int color, int key);

  Config config;
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 1;
  std::shared_ptr<LocalHub> hub;  // non-null when all ranks are of this process
  std::vector<transport::Card> cards;
  std::unique_ptr<transport::Switchboard> switchboard;
  std::shared_ptr<transport::Node> node;
  std::shared_ptr<transport::Heap> heap;
  std::shared_ptr<runtime::KnownMemory> known = std::make_shared<runtime::KnownMemory>();
  std::unique_ptr<runtime::Control> control;
  std::vector<std::unique_ptr<transport::Transport>> transports;
  std::string rdma_reason;  // what of RDMA cannot be used here, or empty
  std::optional<runtime::Selector> selector;
  // Null in a communicator of one rank, which never waits.
  std::unique_ptr<runtime::Waiter> waiter;
  std::unique_ptr<runtime::Crew> crew;      // null where there is no engine
  std::unique_ptr<runtime::Engine> engine;  // null unless memory joins all ranks
  std::unique_ptr<runtime::Links> links;
  std::unique_ptr<runtime::Executor> executor;
  std::unique_ptr<runtime::PointToPoint> point_to_point;
  std::optional<runtime::UnevenAllToAll> uneven_all_to_all;  // where there is an engine
  std::map<std::tuple<const void*, int>, std::unique_ptr<runtime::Binding>> bindings;
  runtime::LastChecked last_checked;
  std::uint64_t sequence = 0;     // of the last collective that was numbered
  std::uint64_t last_run = 0;     // number of the last collective that ran
  std::uint32_t history = 0;      // of the last collective that ran
  std::shared_ptr<Group> group;   // non-null while calls are recorded
  std::vector<std::byte> packed;  // of coalesced and copied inputs; grows to the largest once
  std::uint8_t token = 0;         // of barriers
  std::atomic<bool> aborted_alone{false};  // a communicator of one rank has no control path
  // Last: its thread uses everything above.
  std::unique_ptr<runtime::WorkQueue> queue;

 private:
  Status connect(Bootstrap& bootstrap);
  int choose_threads(const cpu_set_t& cpus) const;
  Status make_crew();
  Status gather_cards(Bootstrap& bootstrap);
  Status make_transports(Bootstrap& bootstrap);
  Status make_rdma(Bootstrap& bootstrap);
  // The transport that joins ranks of this node by memory.
  std::string_view memory() const;
  bool all_joined_by_memory() const;
  const plan::LinkModel& slowest_link(bool one_node) const;
  Status check_reachable() const;
  std::string why_not(const transport::Card& peer) const;

  Status check(std::span<const runtime::Transfer> transfers) const;
  bool has_own(std::span<const runtime::Transfer> transfers) const;
  Work push(std::span<const runtime::Transfer> transfers);
  Status execute(runtime::TransferSource& source);
  Status execute(const runtime::Operation& operation);
  Status execute(std::span<const runtime::Transfer> transfers, std::uint64_t last_collective);
  Status run_with_others(std::span<const runtime::Transfer> transfers,
                         std::uint64_t last_collective);
  Status execute(std::span<const runtime::Operation> rest);
  Status execute_coalesced(std::span<const runtime::Operation> operations);
  Status execute_alone(const runtime::Operation& operation);
  Status dispatch(const runtime::Operation& operation, const runtime::Call& call);
  Status run_planned(const runtime::Operation& operation, const runtime::Call& call,
                     const collectives::Algorithm& algorithm);
  Result<const runtime::Binding*> binding(const collectives::Algorithm& algorithm,
                                          const runtime::Operation& operation);
};

}  // namespace tutti
