// What a message costs over the slot ring between two processes, next to the bare exchange of a
// cache line that no protocol can beat. Both are ping-pongs between the same two pinned CPUs in one
// run; half a round trip is printed, the median of many batches.
//
//   port_bench [CPU CPU]     default: the first two CPUs that this process may run on
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "transport/doorbell.h"
#include "transport/segment.h"
#include "transport/slot_link.h"
#include "transport/slot_ring.h"

namespace {

using namespace tutti;
using namespace tutti::transport;

constexpr int kBatches = 51;
constexpr int kRounds = 400;
constexpr int kLanes = kSlotLanes;

// Two ranks over a memory file that was made before the fork; real doorbells, nobody sleeps.
class PairNode final : public Node {
 public:
  PairNode(int local, Segment& segment, RankLine* lines, std::array<int, 2> doorbells)
      : local_(local), segment_(segment), lines_(lines), doorbells_(doorbells) {}
  const std::vector<int>& ranks() const override { return ranks_; }
  int local_rank() const override { return local_; }
  int local_rank_of(int rank) const override { return rank; }
  bool in_process() const override { return false; }
  const std::string& reason() const override { return reason_; }
  const std::shared_ptr<Heap>& heap() const override { return heap_; }
  Result<std::span<std::byte>> engine_area(int local) override {
    return segment_.piece(kLayout.engine_offset(static_cast<std::size_t>(local)), 4096);
  }
  Result<std::span<std::byte>> link_area(int from, int to) override {
    return segment_.piece(
        kLayout.link_offset(static_cast<std::size_t>(from), static_cast<std::size_t>(to)),
        kLayout.areas.link_bytes);
  }
  void ring(int local) noexcept override {
    publish_fence();
    ring_if_parked(lines_[local], doorbells_[static_cast<std::size_t>(local)]);
  }
  void ring_others() noexcept override {}
  void ring_self() noexcept override {}
  void prepare_park() noexcept override {}
  void park(std::span<pollfd>, int) noexcept override {}
  void unpark() noexcept override {}

  static constexpr SegmentLayout kLayout{
      .seats = 2, .areas = {.engine_bytes = 4096, .link_bytes = link_area_bytes(kLanes)}};

 private:
  std::vector<int> ranks_{0, 1};
  int local_;
  std::string reason_;
  std::shared_ptr<Heap> heap_;  // nobody allocates
  Segment& segment_;
  RankLine* lines_;
  std::array<int, 2> doorbells_;
};

// The value, or the end of the program.
template <typename T>
T must(Result<T> result) {
  if (result.ok()) return *std::move(result);
  fmt::print(stderr, "port_bench: {}\n", result.status().message());
  std::exit(1);
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) == 0) return;
  fmt::print(stderr, "port_bench: cannot run on CPU {}\n", cpu);
  std::exit(1);
}

std::array<int, 2> first_cpus() {
  cpu_set_t set;
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 2; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  if (cpus.size() < 2) {
    fmt::print(stderr, "port_bench: needs two CPUs; this process may run on {}\n", cpus.size());
    std::exit(1);
  }
  return {cpus[0], cpus[1]};
}

// Repeats `done` until it is true. On a CPU that others want too, spinning on would stop the peer
// for a whole time slice; on an idle one the bound is never reached.
template <typename Done>
void spin_until(Done&& done) {
  constexpr int kSpinsMax = 20'000;
  for (int spins = 0; !done(); ++spins) {
    if (spins >= kSpinsMax) ::sched_yield();
  }
}

// Half a round trip in ns; `round` does one.
double half_round_trip_ns(const std::function<void(int)>& rounds) {
  std::vector<double> batches;
  for (int b = 0; b < kBatches; ++b) {
    const auto start = std::chrono::steady_clock::now();
    rounds(kRounds);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    batches.push_back(took.count() / kRounds / 2);
  }
  std::ranges::nth_element(batches, batches.begin() + kBatches / 2);
  return batches[kBatches / 2];
}

// Flags in two lines of the engine areas.
struct Flag {
  alignas(2 * kCacheLine) std::atomic<std::uint64_t> value;
};

double flag_ping_pong(Node& node, int side) {
  std::array<Flag*, 2> flags{};
  for (int i = 0; i < 2; ++i) {
    flags[static_cast<std::size_t>(i)] = reinterpret_cast<Flag*>(must(node.engine_area(i)).data());
  }
  auto& mine = flags[static_cast<std::size_t>(side)]->value;
  const auto& theirs = flags[static_cast<std::size_t>(1 - side)]->value;
  std::uint64_t count = 0;
  const auto await = [&] {
    spin_until([&] { return theirs.load(std::memory_order_acquire) == count; });
  };
  return half_round_trip_ns([&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      ++count;
      if (side == 1) await();
      mine.store(count, std::memory_order_release);
      if (side == 0) await();
    }
  });
}

double port_ping_pong(Link& link, int side, std::size_t bytes) {
  SendPort& out = link.send_port(0);
  RecvPort& in = link.recv_port(0);
  std::vector<std::byte> buffer(bytes);
  const auto send = [&] {
    std::span<std::byte> window;
    spin_until([&] { return (window = out.reserve(bytes)).data() != nullptr; });
    std::memcpy(window.data(), buffer.data(), bytes);
    out.commit(bytes, 0);
  };
  const auto receive = [&] {
    std::span<const std::byte> message;
    spin_until([&] { return (message = in.peek()).data() != nullptr; });
    std::memcpy(buffer.data(), message.data(), bytes);
    in.release();
  };
  return half_round_trip_ns([&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      if (side == 1) receive();
      send();
      if (side == 0) receive();
    }
  });
}

void run_side(int side, int cpu, Segment& segment, std::array<int, 2> doorbells) {
  pin(cpu);
  const auto lines = must(segment.piece(0, PairNode::kLayout.lines_bytes()));
  PairNode node(side, segment, reinterpret_cast<RankLine*>(lines.data()), doorbells);
  const bool speaks = side == 0;

  const auto start = std::chrono::steady_clock::now();
  const auto area = must(node.link_area(side, 1 - side));
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  if (speaks)
    fmt::print("mapping {} KiB for one direction  {:8.0f} us\n", area.size() / 1024, took.count());

  const double flag = flag_ping_pong(node, side);
  if (speaks) fmt::print("bare cache line, one way           {:8.0f} ns\n", flag);
  const auto link = must(connect_slots(node, 1 - side, kLanes, kSlotCaps));
  for (const std::size_t bytes :
       std::initializer_list<std::size_t>{8, 48, 64, 256, 1024, 4096, 16384, 131072}) {
    const double message = port_ping_pong(*link, side, bytes);
    if (!speaks) continue;
    fmt::print("message of {:6} bytes, one way      {:8.0f} ns {:6.2f} x bare\n", bytes, message,
               message / flag);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1 && argc != 3) {
    fmt::print(stderr, "usage: port_bench [CPU CPU]\n");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::array<int, 2> cpus =
      argc == 3 ? std::array{std::atoi(argv[1]), std::atoi(argv[2])} : first_cpus();
  const auto segment = make_file_segment(must(make_memory_file(PairNode::kLayout.total_bytes())));
  const Fd first = must(make_doorbell());
  const Fd second = must(make_doorbell());
  const std::array doorbells{first.get(), second.get()};
  const pid_t child = ::fork();
  if (child == 0) {
    run_side(1, cpus[1], *segment, doorbells);
    return 0;
  }
  run_side(0, cpus[0], *segment, doorbells);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}
