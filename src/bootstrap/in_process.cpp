// The bootstrap of ranks that live in one process: a meeting room in shared memory.
#include <algorithm>
#include <array>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/deadline.h"
#include "base/error.h"
#include "base/local_hub.h"
#include "base/try.h"
#include "bootstrap/assemble.h"
#include "tutti/bootstrap.h"

namespace tutti {
namespace {

// One all-gather after the other. The blocks of round r stay until everybody has entered round r +
// 1, and nobody enters r + 2 before that: two sets of blocks, taken in turns, are enough.
// Thread-safe.
class MeetingRoom {
 public:
  MeetingRoom(int size, std::int64_t timeout_ms)
      : timeout_ms_(timeout_ms), entered_(static_cast<std::size_t>(size), 0) {
    for (auto& set : blocks_) set.resize(static_cast<std::size_t>(size));
  }

  Status all_gather(int rank, std::span<const std::byte> mine, std::span<std::byte> all) {
    const Deadline deadline = Deadline::after_ms(timeout_ms_);
    std::unique_lock lock(mutex_);
    TUTTI_TRY(failure_);
    const std::uint64_t round = ++entered_[static_cast<std::size_t>(rank)];
    auto& blocks = blocks_[round % blocks_.size()];
    blocks[static_cast<std::size_t>(rank)].assign(mine.begin(), mine.end());
    changed_.notify_all();
    // all_entered() first: it is what finds out that a missing rank has left.
    while (!all_entered(round) && failure_.ok()) {
      if (changed_.wait_until(lock, deadline.at()) == std::cv_status::timeout &&
          !all_entered(round)) {
        fail(timed_out(round));
      }
    }
    // A failure after the round was complete belongs to a later one.
    if (!all_entered(round)) return failure_;
    TUTTI_TRY(check_sizes(blocks));
    auto to = all.begin();
    for (const auto& block : blocks) to = std::copy(block.begin(), block.end(), to);
    return {};
  }

  // The rank's bootstrap is gone; who waits for it waits in vain.
  void leave(int rank) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t latest = *std::max_element(entered_.begin(), entered_.end());
    if (entered_[static_cast<std::size_t>(rank)] < latest) {
      fail(left(rank));
    } else {
      departed_.push_back(rank);
    }
  }

 private:
  bool all_entered(std::uint64_t round) {
    const bool all = std::all_of(entered_.begin(), entered_.end(),
                                 [&](std::uint64_t entered) { return entered >= round; });
    if (!all && failure_.ok()) {
      for (const int rank : departed_) {
        if (entered_[static_cast<std::size_t>(rank)] < round) fail(left(rank));
      }
    }
    return all;
  }

  void fail(Status failure) {
    if (failure_.ok()) failure_ = std::move(failure);
    changed_.notify_all();
  }

  static Status left(int rank) {
    return rank_error(
        Code::peer_failed, rank,
        "rank {} of this process closed its bootstrap while others waited for it; all "
        "ranks must make the same calls",
        rank);
  }

  Status timed_out(std::uint64_t round) const {
    std::vector<int> missing;
    for (std::size_t rank = 0; rank < entered_.size(); ++rank) {
      if (entered_[rank] < round) missing.push_back(static_cast<int>(rank));
    }
    return rank_error(Code::timed_out, missing.front(),
                      "all_gather: {} of {} ranks of this process took part within {} ms; missing: "
                      "{}; check that each rank runs in its own thread, or raise "
                      "TUTTI_CONNECT_TIMEOUT_MS",
                      entered_.size() - missing.size(), entered_.size(), timeout_ms_,
                      bootstrap::list_ranks(missing));
  }

  static Status check_sizes(const std::vector<std::vector<std::byte>>& blocks) {
    for (std::size_t rank = 1; rank < blocks.size(); ++rank) {
      if (blocks[rank].size() == blocks[0].size()) continue;
      return rank_error(
          Code::mismatch, static_cast<int>(rank),
          "all_gather: rank {} passed {} bytes, rank 0 passed {}; all ranks must make "
          "the same calls with the same sizes",
          rank, blocks[rank].size(), blocks[0].size());
    }
    return {};
  }

  const std::int64_t timeout_ms_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> entered_;  // rounds, by rank
  std::array<std::vector<std::vector<std::byte>>, 2> blocks_;
  std::vector<int> departed_;
  Status failure_;
};

class InProcessBootstrap final : public Bootstrap {
 public:
  InProcessBootstrap(int rank, int size, std::shared_ptr<MeetingRoom> room,
                     std::shared_ptr<LocalHub> hub)
      : rank_(rank), size_(size), room_(std::move(room)), hub_(std::move(hub)) {}
  ~InProcessBootstrap() override { room_->leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Status all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    assert(all.size() == mine.size() * static_cast<std::size_t>(size_));
    return room_->all_gather(rank_, mine, all);
  }
  std::shared_ptr<LocalHub> local_hub() const override { return hub_; }

 private:
  const int rank_;
  const int size_;
  const std::shared_ptr<MeetingRoom> room_;
  const std::shared_ptr<LocalHub> hub_;
};

}  // namespace

std::vector<std::unique_ptr<Bootstrap>> bootstrap_in_process(int size, const Config& config) {
  assert(size >= 1);
  const auto room = std::make_shared<MeetingRoom>(size, config.connect_timeout_ms);
  const auto hub = std::make_shared<LocalHub>();
  std::vector<std::unique_ptr<Bootstrap>> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.push_back(std::make_unique<InProcessBootstrap>(rank, size, room, hub));
  }
  return ranks;
}

}  // namespace tutti
