// Plans over rdma, on the fabric in memory: results, borrowed buffers, and the bytes on the wire.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/local_hub.h"
#include "collectives/algorithms.h"
#include "plan/passes.h"
#include "runtime/binding.h"
#include "runtime/executor.h"
#include "transport/end_context.h"
#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/memory_monitor.h"
#include "transport/rdma/rdma.h"
#include "transport/shared_bootstrap.h"

namespace tutti::runtime {
namespace {

using transport::rdma::FakeFabric;

constexpr int kLanes = 2;

// What a communicator has, over devices in memory.
struct RankParts {
  transport::EndContext context;
  std::unique_ptr<Control> control;
  std::unique_ptr<transport::Transport> transport;
  std::unique_ptr<Waiter> waiter;
  std::unique_ptr<Links> links;
};

Result<RankParts> make_rank(Bootstrap& bootstrap, FakeFabric& fabric) {
  Config config;
  config.transports = {"rdma"};
  RankParts parts;
  TUTTI_TRY_ASSIGN(parts.context, transport::make_end_context(bootstrap, config, {4096, 4096}));
  const int rank = parts.context.rank;
  transport::rdma::Devices devices;
  devices.verbs = fabric.verbs("host" + std::to_string(rank));
  TUTTI_TRY_ASSIGN(devices.opened, transport::rdma::open_rails(*devices.verbs, config));
  for (transport::Card& card : parts.context.cards) card.rdma_rails = 2;
  transport::Node& node = *parts.context.node;
  TUTTI_TRY_ASSIGN(parts.control,
                   Control::start(rank, parts.context.cards, *parts.context.switchboard,
                                  Deadline::after_ms(transport::kTestDeadlineMs),
                                  [&node] { node.ring_self(); }));
  TUTTI_TRY_ASSIGN(parts.transport,
                   transport::make_rdma(rank, parts.context.cards, *parts.context.switchboard,
                                        std::move(devices), config));
  parts.waiter = std::make_unique<Waiter>(node, *parts.control, transport::kTestDeadlineMs,
                                          Patience{.spins = 50, .yields = 50});
  parts.links = std::make_unique<Links>(std::vector{parts.transport.get()}, kLanes,
                                        transport::kTestDeadlineMs);
  return parts;
}

struct Call {
  const collectives::Algorithm* algorithm = nullptr;
  int ranks = 2;
  std::int64_t count = 0;
  bool in_place = false;
};

// Element i of a rank's input; small whole numbers, so that every order of summing is exact.
float input(int rank, std::int64_t i) {
  return static_cast<float>((rank + 1) * (i % 31));
}

float expected(const Call& call, std::int64_t i) {
  if (call.algorithm->kind == plan::Kind::broadcast) return input(0, i);
  float sum = 0;
  for (int rank = 0; rank < call.ranks; ++rank) sum += input(rank, i);
  return sum;
}

void run_rank(const Call& call, Bootstrap& bootstrap, FakeFabric& fabric) {
  auto made = make_rank(bootstrap, fabric);
  ASSERT_TRUE(made.ok()) << made.status().message();
  RankParts& parts = *made;
  const int rank = parts.context.rank;
  const plan::Shape shape{.kind = call.algorithm->kind, .ranks = call.ranks};
  auto binding = bind(*call.algorithm, rank, shape, *parts.links);
  ASSERT_TRUE(binding.ok()) << binding.status().message();

  std::vector<float> send(static_cast<std::size_t>(call.count));
  for (std::int64_t i = 0; i < call.count; ++i) {
    send[static_cast<std::size_t>(i)] = input(rank, i);
  }
  const bool broadcast = call.algorithm->kind == plan::Kind::broadcast;
  const bool in_place = call.in_place || (broadcast && rank != 0);
  std::vector<float> recv(in_place ? 0 : send.size(), -1.0F);
  float* const result = in_place ? send.data() : recv.data();
  Executor executor(*parts.waiter, rank, call.ranks);
  Operation operation;
  operation.collective = broadcast ? Collective::broadcast : Collective::all_reduce;
  operation.send = send.data();
  operation.recv = result;
  operation.count = call.count;
  operation.sequence = 1;
  parts.control->entered({.sequence = 1});
  const Status status = executor.run(operation, **binding);
  ASSERT_TRUE(status.ok()) << status.message();
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < call.count; ++i) wrong += result[i] != expected(call, i) ? 1 : 0;
  EXPECT_EQ(wrong, 0) << call.algorithm->name << ", rank " << rank << " of " << call.ranks;
  // The caller may do as it likes with its buffers now.
  std::fill(send.begin(), send.end(), -7.0F);
  parts.control->finished(1);
  parts.control->close(Deadline::after_ms(transport::kTestDeadlineMs));
}

void run_all(const Call& call, FakeFabric& fabric) {
  transport::MeetingPlace place(call.ranks);
  const auto hub = std::make_shared<LocalHub>();
  std::vector<std::thread> others;
  for (int rank = 1; rank < call.ranks; ++rank) {
    others.emplace_back([&, rank] { run_rank(call, *place.bootstrap(rank, hub), fabric); });
  }
  run_rank(call, *place.bootstrap(0, hub), fabric);
  for (std::thread& other : others) other.join();
}

// Ends of links that the plan needs.
int link_ends(const Call& call) {
  std::set<std::pair<int, int>> ends;
  for (int rank = 0; rank < call.ranks; ++rank) {
    const plan::Shape shape{.kind = call.algorithm->kind, .ranks = call.ranks};
    for (const plan::Step& step : plan::build(call.algorithm->build, rank, shape).steps) {
      if (step.op != plan::Op::copy) ends.emplace(rank, step.peer);
    }
  }
  return static_cast<int>(ends.size());
}

// How often each chunk is sent by all ranks together; 0 when not all chunks are sent alike.
int sends_per_chunk(const Call& call) {
  std::map<std::uint32_t, int> sends;
  std::uint32_t chunks = 1;
  for (int rank = 0; rank < call.ranks; ++rank) {
    const plan::Program program = plan::build(call.algorithm->build, rank,
                                              {.kind = call.algorithm->kind, .ranks = call.ranks});
    chunks = program.chunks;
    for (const plan::Step& step : program.steps) {
      if (step.op != plan::Op::send) continue;
      for (std::uint32_t chunk = 0; chunk < step.count; ++chunk) ++sends[step.chunk + chunk];
    }
  }
  const int first = sends[0];
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    if (sends[chunk] != first) return 0;
  }
  return first;
}

std::uint64_t bytes_on_the_wire(const FakeFabric& fabric, int ranks) {
  std::uint64_t bytes = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    for (const char* device : {"fake0", "fake1"}) {
      bytes += fabric.traffic("host" + std::to_string(rank), device).bytes_sent;
    }
  }
  return bytes;
}

TEST(RdmaPlans, EveryAlgorithmIsRightAndSendsWhatItsPlanSays) {
  for (const auto& algorithm : collectives::algorithms()) {
    for (const int ranks : {2, 3}) {
      // Within a slot; of several tiles, and long enough to be sent from the caller's memory.
      for (const std::int64_t count : {std::int64_t{1027}, std::int64_t{400'003}}) {
        for (const bool in_place : {false, true}) {
          const Call call{&algorithm, ranks, count, in_place};
          SCOPED_TRACE(::testing::Message() << algorithm.name << ", " << ranks << " ranks, "
                                            << count << (in_place ? " in place" : ""));
          FakeFabric fabric;
          run_all(call, fabric);
          const int sends = sends_per_chunk(call);
          if (sends > 0) {
            EXPECT_EQ(bytes_on_the_wire(fabric, ranks),
                      static_cast<std::uint64_t>(sends) * 4 * static_cast<std::uint64_t>(count));
          }
          EXPECT_EQ(fabric.counts().objects(), 0);
          if (count > 100'000 && transport::rdma::open_userfaultfd().ok()) {
            // Beside the slots of every link, on both rails.
            EXPECT_GT(fabric.calls("reg_mr"), 2 * link_ends(call)) << "nothing was borrowed";
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tutti::runtime
