// Every plan over rdma, on the fabric in memory: results, the bytes on the wire, and whose memory
// they leave from.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/local_hub.h"
#include "collectives/algorithms.h"
#include "plan/cost.h"
#include "plan/passes.h"
#include "plan/print.h"
#include "runtime/executor.h"
#include "runtime/rdma_rank.h"
#include "runtime/rdma_scene.h"
#include "transport/heap.h"
#include "transport/rdma/lane.h"
#include "transport/rdma/memory_monitor.h"
#include "transport/shared_bootstrap.h"

namespace tutti::runtime {
namespace {

using transport::rdma::FakeFabric;

constexpr std::size_t kHeapBytes = std::size_t{1} << 30;

// What the buffers are: of the heap of a process, or of a node's, as Communicator::allocate() gives
// them where several ranks share a host. The latter are a mapping of a file, which a registration
// cache rightly refuses.
enum class Source : std::uint8_t { process, node };

class Memory {
 public:
  Memory(Source source, transport::Transport& transport) {
    if (source == Source::process) return;
    auto file = transport::make_memory_file(kHeapBytes);
    EXPECT_TRUE(file.ok()) << file.status().message();
    heap_.emplace(
        transport::HeapSpace{
            transport::make_file_segment(*std::move(file)), {0}, kHeapBytes, {"rank 0 (host a)"}},
        0);
    transport_ = &transport;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    for (const std::span<float> one : allocated_) {
      transport_->forget(one.data());
      EXPECT_TRUE(heap_->free(one.data()).ok());
    }
  }

  std::span<float> get(std::int64_t elements) {
    const auto size = static_cast<std::size_t>(elements);
    if (size == 0) return {};
    if (!heap_) return own_.emplace_back(size);
    const auto bytes = heap_->allocate(size * sizeof(float));
    EXPECT_TRUE(bytes.ok()) << bytes.status().message();
    EXPECT_TRUE(transport_->keep(bytes->data(), bytes->size()).ok());
    return allocated_.emplace_back(reinterpret_cast<float*>(bytes->data()), size);
  }

 private:
  std::vector<std::vector<float>> own_;
  std::optional<transport::Heap> heap_;
  transport::Transport* transport_ = nullptr;
  std::vector<std::span<float>> allocated_;
};

Operation operation_of(const Scene& scene, int rank, Memory& memory) {
  const SceneBuffers blocks = buffers_of(scene, rank);
  const std::int64_t count = scene.count;
  const bool shared = scene.in_place && blocks.send_blocks > 0 && blocks.recv_blocks > 0;
  std::span<float> recv = memory.get(
      (shared ? std::max(blocks.send_blocks, blocks.recv_blocks) : blocks.recv_blocks) * count);
  std::ranges::fill(recv, -1.0F);
  const std::span<float> send = shared ? recv : memory.get(blocks.send_blocks * count);
  float* const from = send.data() + (shared ? blocks.send_place * count : 0);
  for (int block = 0; block < blocks.send_blocks; ++block) {
    for (std::int64_t i = 0; i < count; ++i) from[block * count + i] = sent(rank, block, i);
  }
  Operation operation{.collective = scene.kind(),
                      .send = from,
                      .recv = recv.data() + (shared ? blocks.recv_place * count : 0),
                      .count = count,
                      .reduction = scene.op(),
                      .root = scene.root()};
  const Status status = prepare(operation, rank, scene.ranks);
  EXPECT_TRUE(status.ok()) << status.message();
  operation.sequence = 1;
  return operation;
}

std::int64_t wrong_elements(const Scene& scene, int rank, const Operation& operation) {
  std::int64_t wrong = 0;
  const auto* const got = static_cast<const float*>(operation.recv);
  for (int block = 0; block < buffers_of(scene, rank).recv_blocks; ++block) {
    for (std::int64_t i = 0; i < scene.count; ++i) {
      wrong += got[block * scene.count + i] != received(scene, rank, block, i) ? 1 : 0;
    }
  }
  return wrong;
}

void run_rank(const Scene& scene, Source source, Bootstrap& bootstrap, FakeFabric& fabric) {
  auto made = make_rdma_rank(bootstrap, fabric);
  ASSERT_TRUE(made.ok()) << made.status().message();
  const int rank = made->context.rank;
  auto binding = bind(*scene.algorithm, rank, scene.shape(), *made->links);
  ASSERT_TRUE(binding.ok()) << binding.status().message();
  Memory memory(source, *made->transport);
  const Operation operation = operation_of(scene, rank, memory);
  Executor executor(*made->waiter, *made->control, rank, scene.ranks,
                    plan::LinkModel().tile_bytes_min);
  Call call = call_of(operation);
  call.history = chained(0, call);
  made->control->entered(call);
  const Status status = executor.run(operation, call, **binding);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(wrong_elements(scene, rank, operation), 0) << "rank " << rank;
  // The caller may do as it likes with its buffers now.
  if (operation.send != nullptr) {
    std::fill_n(static_cast<float*>(const_cast<void*>(operation.send)), scene.count, -7.0F);
  }
  made->control->finished(1);
  made->control->close(Deadline::after_ms(transport::kTestDeadlineMs));
}

void run_all(const Scene& scene, Source source, FakeFabric& fabric) {
  transport::MeetingPlace place(scene.ranks);
  const auto hub = std::make_shared<LocalHub>();
  std::vector<std::thread> others;
  for (int rank = 1; rank < scene.ranks; ++rank) {
    others.emplace_back(
        [&, rank] { run_rank(scene, source, *place.bootstrap(rank, hub), fabric); });
  }
  run_rank(scene, source, *place.bootstrap(0, hub), fabric);
  for (std::thread& other : others) other.join();
}

// What all ranks' plans have in common.
struct Sends {
  int link_ends = 0;
  std::int64_t chunks = 0;  // that are sent, by all ranks together
  int per_chunk = 0;        // 0 when not all chunks are sent equally often
  bool borrows = false;     // some of it may be read where it lies until the call is over
};

// A message of one part, in one piece, that nobody overwrites.
bool may_borrow(const Scene& scene, const plan::Program& program, const std::vector<bool>& stable,
                std::size_t at) {
  const plan::Step& step = program.steps[at];
  const bool continued = at > 0 && (program.steps[at - 1].flags & plan::kMore) != 0;
  const bool from_input = (step.flags & plan::kFromInput) != 0;
  return step.op == plan::Op::send && !continued && (step.flags & plan::kMore) == 0 &&
         (step.count == 1 || !plan::has_blocks(scene.kind())) &&
         (stable[at] || (from_input && !scene.in_place));
}

Sends sends_of(const Scene& scene) {
  Sends all;
  std::set<std::pair<int, int>> ends;
  std::map<std::uint32_t, int> times;
  std::uint32_t chunks = 1;
  for (int rank = 0; rank < scene.ranks; ++rank) {
    const plan::Program program = plan::build(scene.algorithm->build, rank, scene.shape());
    const std::vector<bool> stable = plan::stable_sends(program, scene.shape());
    chunks = program.chunks;
    for (std::size_t at = 0; at < program.steps.size(); ++at) {
      const plan::Step& step = program.steps[at];
      all.borrows = all.borrows || may_borrow(scene, program, stable, at);
      if (step.op != plan::Op::copy) ends.emplace(rank, step.peer);
      if (step.op != plan::Op::send) continue;
      all.chunks += step.count;
      for (std::uint32_t i = 0; i < step.count; ++i) ++times[step.chunk + i];
    }
  }
  all.link_ends = static_cast<int>(ends.size());
  all.per_chunk = times[0];
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    if (times[chunk] != all.per_chunk) all.per_chunk = 0;
  }
  return all;
}

// Bytes of data that the plan sends; 0 when that depends on how chunks are cut.
std::uint64_t payload_of(const Scene& scene, const Sends& sends) {
  const auto bytes = static_cast<std::uint64_t>(scene.count) * sizeof(float);
  if (plan::has_blocks(scene.kind())) return static_cast<std::uint64_t>(sends.chunks) * bytes;
  return static_cast<std::uint64_t>(sends.per_chunk) * bytes;
}

transport::rdma::FakeTraffic traffic_of(const FakeFabric& fabric, int ranks) {
  transport::rdma::FakeTraffic all;
  for (int rank = 0; rank < ranks; ++rank) {
    for (const char* device : {"fake0", "fake1"}) {
      const auto one = fabric.traffic("host" + std::to_string(rank), device);
      all.bytes_sent += one.bytes_sent;
      all.gathered += one.gathered;
    }
  }
  return all;
}

void check(const Scene& scene, Source source) {
  SCOPED_TRACE(describe(scene) + (source == Source::node ? ", allocated" : ""));
  FakeFabric fabric;
  run_all(scene, source, fabric);
  const Sends sends = sends_of(scene);
  const auto traffic = traffic_of(fabric, scene.ranks);
  if (const std::uint64_t payload = payload_of(scene, sends); payload > 0) {
    // Every chunk as often as the plan says, and with each message its tag.
    ASSERT_GT(traffic.bytes_sent, payload);
    EXPECT_EQ((traffic.bytes_sent - payload) % transport::rdma::kTagBytes, 0U);
    EXPECT_LE((traffic.bytes_sent - payload) / transport::rdma::kTagBytes,
              static_cast<std::uint64_t>(fabric.calls("post_send")));
  }
  EXPECT_EQ(fabric.counts().objects(), 0);
  // Beside the slots of every link, on both rails.
  const int registered = fabric.calls("reg_mr") - 2 * sends.link_ends;
  if (!sends.borrows || scene.count < 100'000) return;
  if (source == Source::process && !transport::rdma::open_userfaultfd().ok()) return;
  EXPECT_GT(registered, 0) << "nothing was registered";
  EXPECT_GT(traffic.gathered, 0U) << "nothing was borrowed";
}

class RdmaPlans : public testing::TestWithParam<collectives::Algorithm> {};

TEST_P(RdmaPlans, AreRightAndSendWhatTheySayFromWhereItLies) {
  const auto& algorithm = GetParam();
  // Within a slot; of several tiles, and long enough to be sent from the caller's memory.
  for (const std::int64_t count : {std::int64_t{1027}, std::int64_t{200'003}}) {
    for (const int ranks : {2, 3, 4}) {
      for (const bool in_place : {false, true}) {
        if (in_place && !algorithm.in_place) continue;
        for (const Source source : {Source::process, Source::node}) {
          check({&algorithm, ranks, count, in_place}, source);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, RdmaPlans,
                         testing::ValuesIn(collectives::algorithms().begin(),
                                           collectives::algorithms().end()),
                         [](const testing::TestParamInfo<collectives::Algorithm>& info) {
                           return std::string(name(info.param.kind)) + "_" +
                                  std::string(info.param.name);
                         });

}  // namespace
}  // namespace tutti::runtime
