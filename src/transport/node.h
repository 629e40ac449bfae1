// The node: the ranks of a communicator that share memory, their common segment and doorbells.
//
// The segment is one sparse memory file (memfd; plain memory for ranks of one process) that nobody
// else can name: it vanishes with the last process however that ends. Ranks are on one node when
// their boot ids agree and the attach worked, which all ranks learn in one all-gather. Layout, each
// part aligned to a page:
//   [RankLine x n]  one cache line per local rank: parked flag
//   [engine area]   kEngineBytes per local rank, for native engines
//   [link area]     one region per ordered pair (from, to) of local ranks, link_bytes each
//   [heaps]         kHeapBytes of file space per local rank, for what its caller allocates
// Pages are mapped when first asked for, so memory grows with what is used.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "transport/card.h"
#include "transport/switchboard.h"
#include "tutti/bootstrap.h"
#include "tutti/status.h"

namespace tutti::transport {

class Heap;

inline constexpr std::size_t kCacheLine = 64;

// Shared: written by its rank, read by those who ring.
struct alignas(kCacheLine) RankLine {
  // 1 while the rank sleeps in Node::park(), or is about to.
  std::atomic<std::uint32_t> parked{0};
};
static_assert(sizeof(RankLine) == kCacheLine);

struct NodeLayout {
  std::size_t engine_bytes = 0;  // per local rank, a multiple of 4096
  std::size_t link_bytes = 0;    // per ordered pair, a multiple of 4096
  std::size_t heap_bytes = 0;    // per local rank, a multiple of 4096; the ranks take the least
};

class Node {
 public:
  // Collective over the bootstrap. Ranks whose attach fails, or which may not use shared memory
  // (config.transports), are a node of their own; `reason()` tells why.
  static Result<std::unique_ptr<Node>> create(Bootstrap& bootstrap, const Config& config,
                                              const std::vector<Card>& cards,
                                              Switchboard& switchboard, const NodeLayout& layout,
                                              Deadline deadline);
  virtual ~Node() = default;

  // Global ranks of this node, ascending, including the own one.
  virtual const std::vector<int>& ranks() const = 0;
  // This rank's place in ranks().
  virtual int local_rank() const = 0;
  // Place of a global rank in ranks(), or -1.
  virtual int local_rank_of(int rank) const = 0;
  // True when the node's memory is of this process (loopback) rather than a memory file.
  virtual bool in_process() const = 0;
  // Why ranks with the same boot id are missing, or empty.
  virtual const std::string& reason() const = 0;

  // The engine area of a local rank; mapped on first use. Zero-filled at first.
  virtual Result<std::span<std::byte>> engine_area(int local_rank) = 0;
  // The region of messages from local rank `from` to local rank `to`; mapped on first use,
  // zero-filled at first. Stays mapped as long as the node lives.
  virtual Result<std::span<std::byte>> link_area(int from, int to) = 0;
  // This rank's heap, which may outlive the node. Never null.
  virtual const std::shared_ptr<Heap>& heap() const = 0;

  // Wakes a local rank if it is parked. Call after publishing (the fence is inside). Hot.
  virtual void ring(int local_rank) noexcept = 0;
  // The same for all other local ranks.
  virtual void ring_others() noexcept = 0;
  // Wakes this rank's own sleeper; any thread.
  virtual void ring_self() noexcept = 0;
  // Sleeping: prepare_park(), look again for work, then park() if there is none, and in every case
  // unpark(). park() returns when the doorbell was rung, one of `fds` became ready (revents is set)
  // or timeout_ms passed.
  virtual void prepare_park() noexcept = 0;
  virtual void park(std::span<pollfd> fds, int timeout_ms) noexcept = 0;
  virtual void unpark() noexcept = 0;
};

}  // namespace tutti::transport
