// The cold side of a communicator: assembling it and taking it apart.

#include <algorithm>

#include "base/cores_left.h"
#include "base/error.h"
#include "base/notice.h"
#include "base/try.h"
#include "runtime/agreement.h"
#include "runtime/communicator_impl.h"
#include "transport/heap.h"
#include "transport/loopback/loopback.h"
#include "transport/rdma/rdma.h"
#include "transport/shm/shm.h"
#include "transport/slot_ring.h"
#include "transport/tcp/tcp.h"

namespace tutti {

namespace {

// How long a destroyed communicator waits for the other ranks to destroy theirs. It serves those
// that are still busy with the last operation: they hear of failures through us.
constexpr std::int64_t kCloseMs = 5000;

bool allows(const Config& config, std::string_view transport) {
  return std::find(config.transports.begin(), config.transports.end(), transport) !=
         config.transports.end();
}

// Rough costs per transport; what counts for the choice is their ratio. Measured on one machine:
// a message through a slot of shared memory, through a loopback TCP connection; for RDMA what a
// 200 Gb/s port of today gives.
constexpr plan::LinkModel kSharedMemory{
    .latency_s = 0.6e-6, .seconds_per_byte = 1.0 / 8e9, .reduce_seconds_per_byte = 1.0 / 12e9};
constexpr plan::LinkModel kRdma{
    .latency_s = 2.5e-6, .seconds_per_byte = 1.0 / 22e9, .reduce_seconds_per_byte = 1.0 / 12e9};
constexpr plan::LinkModel kTcp{
    .latency_s = 15e-6,
    .seconds_per_byte = 1.0 / 2.5e9,
    .reduce_seconds_per_byte = 1.0 / 12e9,
    // All-reduce of 256 KiB through two messages of 128 KiB takes 55 us, through eight 95.
    .tile_bytes_min = 256 * 1024};

}  // namespace

Result<std::unique_ptr<Communicator::Impl>> Communicator::Impl::create(Bootstrap& bootstrap,
                                                                       const Config& config) {
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->rank = bootstrap.rank();
  impl->size = bootstrap.size();
  impl->hub = bootstrap.local_hub();
  if (impl->size < 1 || impl->rank < 0 || impl->rank >= impl->size) {
    return error(Code::invalid_argument,
                 "the bootstrap says rank {} of {}; ranks are 0 to size - 1", impl->rank,
                 impl->size);
  }
  if (config.lanes < 1 || config.lanes > runtime::kLanesMax) {
    return error(Code::invalid_argument, "lanes is {}; it must be 1 to {}", config.lanes,
                 runtime::kLanesMax);
  }
  if (config.threads < 0 || config.threads > runtime::kThreadsMax) {
    return error(Code::invalid_argument, "threads is {}; it must be 0 to {}", config.threads,
                 runtime::kThreadsMax);
  }
  TUTTI_TRY(impl->connect(bootstrap));
  return impl;
}

Status Communicator::Impl::connect(Bootstrap& bootstrap) {
  using runtime::Selector;
  const Deadline deadline = Deadline::after_ms(config.connect_timeout_ms);
  TUTTI_TRY(gather_cards(bootstrap));
  queue = std::make_unique<runtime::WorkQueue>(
      [this](runtime::TransferSource& source) { return execute(source); },
      [this] { node->ring_self(); });
  if (size == 1) {
    heap = std::make_shared<transport::Heap>(transport::HeapSpace{}, 0);
    TUTTI_TRY_ASSIGN(selector, Selector::create(config.algorithm, size, false, kSharedMemory));
    return {};
  }
  TUTTI_TRY_ASSIGN(const cpu_set_t cpus, runtime::agree(bootstrap, config, cards));
  config.threads = choose_threads(cpus);  // what is split off takes no more for each rank
  TUTTI_TRY_ASSIGN(node,
                   transport::Node::create(bootstrap, config, cards, *switchboard,
                                           {.engine_bytes = runtime::kEngineAreaBytes,
                                            .link_bytes = transport::link_area_bytes(config.lanes),
                                            .heap_bytes = transport::kHeapBytes},
                                           deadline));
  heap = node->heap();
  TUTTI_TRY(make_transports(bootstrap));
  TUTTI_TRY(check_reachable());
  TUTTI_TRY_ASSIGN(control, runtime::Control::start(rank, cards, *switchboard, deadline,
                                                    [this] { node->ring_self(); }));

  const bool one_node = all_joined_by_memory();
  const bool native = one_node && size <= runtime::kEngineRanksMax;
  TUTTI_TRY_ASSIGN(selector,
                   Selector::create(config.algorithm, size, native, slowest_link(one_node)));
  const auto patience = runtime::Patience::of(local_size, CPU_COUNT(&cpus));
  waiter = std::make_unique<runtime::Waiter>(*node, *control, config.timeout_ms, patience);
  if (native) {
    runtime::Waiter joining(*node, *control, config.connect_timeout_ms, patience);
    TUTTI_TRY(make_crew());
    TUTTI_TRY_ASSIGN(engine, runtime::Engine::create(*node, *crew, joining, *waiter, *control));
  }
  std::vector<transport::Transport*> borrowed;
  for (const auto& transport : transports) borrowed.push_back(transport.get());
  known->begin(borrowed);
  // Sends count on it then, so no other transport takes the place of memory that cannot be had.
  if (native) std::erase_if(borrowed, [this](const auto* one) { return one->name() != memory(); });
  links = std::make_unique<runtime::Links>(std::move(borrowed), config.lanes,
                                           config.connect_timeout_ms);
  executor = std::make_unique<runtime::Executor>(*waiter, *control, rank, size,
                                                 slowest_link(one_node).tile_bytes_min);
  point_to_point = std::make_unique<runtime::PointToPoint>(
      *waiter, *control, *links, engine == nullptr ? nullptr : &engine->reach(), rank);
  if (engine != nullptr) uneven_all_to_all.emplace(*point_to_point, *crew, rank, size);
  return {};
}

// Cores that other ranks, or this one by itself, may not have are not counted.
int Communicator::Impl::choose_threads(const cpu_set_t& cpus) const {
  if (config.threads > 0) return config.threads;
  if (CPU_COUNT(&cpus) < 2 * local_size) return 1;
  cpu_set_t mine = cpus;
  ::sched_getaffinity(0, sizeof mine, &mine);
  return std::min(runtime::Crew::threads_for(cores_left(cpus), local_size),
                  runtime::Crew::threads_for(cores_left(mine), 1));
}

Status Communicator::Impl::make_crew() {
  Result<std::unique_ptr<runtime::Crew>> made = runtime::Crew::create(config.threads);
  if (!made.ok()) {
    return rank_error(made.status().code(), rank, "rank {} (host {}) {}", rank,
                      cards[static_cast<std::size_t>(rank)].host, made.status().message());
  }
  crew = *std::move(made);
  return {};
}

Status Communicator::Impl::gather_cards(Bootstrap& bootstrap) {
  TUTTI_TRY_ASSIGN(transport::Card card, transport::local_card(rank));
  if (size == 1) {
    cards.push_back(std::move(card));
    return {};
  }
  TUTTI_TRY_ASSIGN(switchboard, transport::Switchboard::open(config, card));
  const auto mine = transport::encode(card);
  std::vector<std::byte> all(mine.size() * static_cast<std::size_t>(size));
  TUTTI_TRY(bootstrap.all_gather(mine, all));
  for (int r = 0; r < size; ++r) {
    const auto block = std::span(all).subspan(static_cast<std::size_t>(r) * mine.size());
    TUTTI_TRY_ASSIGN(transport::Card other, transport::decode(block.first(mine.size())));
    cards.push_back(std::move(other));
  }
  switchboard->set_cards(cards);
  const auto here = [&](const transport::Card& other) { return other.boot_id == card.boot_id; };
  local_size = static_cast<int>(std::count_if(cards.begin(), cards.end(), here));
  local_rank = static_cast<int>(std::count_if(cards.begin(), cards.begin() + rank, here));
  return {};
}

Status Communicator::Impl::make_transports(Bootstrap& bootstrap) {
  const auto failure = [this] { return control == nullptr ? Status() : control->failure(); };
  for (const std::string& name : config.transports) {
    if (name == "loopback") transports.push_back(transport::make_loopback(*node));
    if (name == "shm") transports.push_back(transport::make_shm(*node));
    if (name == "rdma") TUTTI_TRY(make_rdma(bootstrap));
    if (name == "tcp") {
      transports.push_back(
          transport::make_tcp(rank, cards, *switchboard, transport::kTcpCaps, failure));
    }
  }
  return {};
}

// Opening devices takes its time and memory: only when memory does not join all ranks.
Status Communicator::Impl::make_rdma(Bootstrap& bootstrap) {
  if (!transports.empty() && static_cast<int>(node->ranks().size()) == size) return {};
  TUTTI_TRY_ASSIGN(auto devices, transport::rdma::open_devices(config));
  const auto mine = static_cast<std::int32_t>(devices.opened.rails.size());
  std::vector<std::int32_t> all(static_cast<std::size_t>(size));
  TUTTI_TRY(bootstrap.all_gather(std::as_bytes(std::span(&mine, 1)),
                                 std::as_writable_bytes(std::span(all))));
  for (std::size_t r = 0; r < all.size(); ++r) cards[r].rdma_rails = all[r];
  rdma_reason = devices.opened.reason;
  // Many hosts have ports that nobody uses; who asks for RDMA wants to know, once per host.
  const Config usual;
  const bool asked = config.transports != usual.transports || !config.rdma_devices.empty();
  if (asked && local_rank == 0 && !rdma_reason.empty()) {
    notice("rank {} (host {}): RDMA {}: {}", rank, cards[static_cast<std::size_t>(rank)].host,
           mine == 0 ? "cannot be used" : "leaves out", rdma_reason);
  }
  TUTTI_TRY_ASSIGN(auto made,
                   transport::make_rdma(
                       rank, cards, *switchboard, std::move(devices), config, transport::kRdmaCaps,
                       [this] { return control == nullptr ? Status() : control->failure(); }));
  transports.push_back(std::move(made));
  return {};
}

std::string_view Communicator::Impl::memory() const {
  return node->in_process() ? "loopback" : "shm";
}

// Who lists another transport first wants that one, on one host too. Every rank gives the same
// answer: it depends on what all of them know.
bool Communicator::Impl::all_joined_by_memory() const {
  if (static_cast<int>(node->ranks().size()) != size) return false;
  const auto with_rails = std::count_if(cards.begin(), cards.end(),
                                        [](const auto& card) { return card.rdma_rails > 0; });
  for (const std::string& name : config.transports) {
    if (name == memory()) return true;
    if (name == "tcp" || (name == "rdma" && with_rails >= 2)) return false;
  }
  return false;
}

// Every rank gives the same answer: it depends on what all of them have.
const plan::LinkModel& Communicator::Impl::slowest_link(bool one_node) const {
  if (one_node) return kSharedMemory;
  const bool all_rdma =
      std::all_of(cards.begin(), cards.end(), [](const auto& card) { return card.rdma_rails > 0; });
  return all_rdma ? kRdma : kTcp;
}

Status Communicator::Impl::check_reachable() const {
  for (int peer = 0; peer < size; ++peer) {
    const auto reaches = [peer](const auto& transport) { return transport->reaches(peer); };
    if (peer == rank || std::any_of(transports.begin(), transports.end(), reaches)) continue;
    const transport::Card& mine = cards[static_cast<std::size_t>(rank)];
    const transport::Card& other = cards[static_cast<std::size_t>(peer)];
    return rank_error(Code::unavailable, peer,
                      "no transport joins rank {} (host {}) and rank {} (host {}): "
                      "TUTTI_TRANSPORT allows {}{}; add tcp",
                      rank, mine.host, peer, other.host, fmt::join(config.transports, ", "),
                      why_not(other));
  }
  return {};
}

// " (shared memory: ...) (RDMA: ...)": what the transports that could have done it lack.
std::string Communicator::Impl::why_not(const transport::Card& peer) const {
  std::string why;
  if (allows(config, "shm") && !node->reason().empty()) {
    why += fmt::format(" (shared memory: {})", node->reason());
  }
  if (allows(config, "rdma")) {
    why += fmt::format(" (RDMA: {})", !rdma_reason.empty() ? rdma_reason
                                      : peer.rdma_rails == 0
                                          ? fmt::format("rank {} has no usable device", peer.rank)
                                          : "both ranks have devices");
  }
  return why;
}

Communicator::Impl::~Impl() {
  queue.reset();
  if (control != nullptr) control->close(Deadline::after_ms(kCloseMs));
  known->end();
}

}  // namespace tutti
