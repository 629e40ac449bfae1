// A bootstrap for tests of the transport layer: ranks that are threads, or processes forked after
// it was made. The blocks meet in memory that all of them share. Each rank's Bootstrap is used by
// one thread; the area outlives all of them.
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>

#include "base/deadline.h"
#include "base/local_hub.h"
#include "tutti/bootstrap.h"

namespace tutti::transport {

// Where up to kRanksMax ranks meet.
class MeetingPlace {
 public:
  static constexpr int kRanksMax = 16;
  static constexpr std::size_t kBlockBytesMax = 4096;

  explicit MeetingPlace(int size)
      : size_(size),
        table_(static_cast<Table*>(::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    assert(size <= kRanksMax);
  }
  MeetingPlace(const MeetingPlace&) = delete;
  MeetingPlace& operator=(const MeetingPlace&) = delete;
  ~MeetingPlace() { ::munmap(table_, sizeof(Table)); }

  // `hub` is given for threads that may use loopback. Gives up after `patience_ms`.
  std::unique_ptr<Bootstrap> bootstrap(int rank, std::shared_ptr<LocalHub> hub = nullptr,
                                       std::int64_t patience_ms = 30'000) {
    return std::make_unique<Rank>(*this, rank, std::move(hub), patience_ms);
  }

 private:
  struct Seat {
    // Gathers of this rank whose block is published, and that it has finished reading.
    std::atomic<std::uint64_t> published{0};
    std::atomic<std::uint64_t> finished{0};
    std::array<std::byte, kBlockBytesMax> block;
  };
  using Table = std::array<Seat, kRanksMax>;

  class Rank final : public Bootstrap {
   public:
    Rank(MeetingPlace& place, int rank, std::shared_ptr<LocalHub> hub, std::int64_t patience_ms)
        : place_(place), rank_(rank), hub_(std::move(hub)), patience_ms_(patience_ms) {}
    int rank() const override { return rank_; }
    int size() const override { return place_.size_; }
    std::shared_ptr<LocalHub> local_hub() const override { return hub_; }

    Status all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
      assert(mine.size() <= kBlockBytesMax);
      const Deadline deadline = Deadline::after_ms(patience_ms_);
      Table& table = *place_.table_;
      Seat& own = table[static_cast<std::size_t>(rank_)];
      if (!all_reach(&Seat::finished, rounds_, deadline)) return missing();
      std::memcpy(own.block.data(), mine.data(), mine.size());
      own.published.store(++rounds_, std::memory_order_release);
      if (!all_reach(&Seat::published, rounds_, deadline)) return missing();
      for (std::size_t r = 0; r < static_cast<std::size_t>(size()); ++r) {
        std::memcpy(all.data() + r * mine.size(), table[r].block.data(), mine.size());
      }
      own.finished.store(rounds_, std::memory_order_release);
      return {};
    }

   private:
    bool all_reach(std::atomic<std::uint64_t> Seat::*counter, std::uint64_t round,
                   Deadline deadline) const {
      for (std::size_t r = 0; r < static_cast<std::size_t>(size()); ++r) {
        while (((*place_.table_)[r].*counter).load(std::memory_order_acquire) < round) {
          if (deadline.passed()) return false;
          std::this_thread::yield();
        }
      }
      return true;
    }
    static Status missing() {
      return Status::error(Code::timed_out, "a rank did not come to the all-gather of the test");
    }

    MeetingPlace& place_;
    int rank_;
    std::shared_ptr<LocalHub> hub_;
    std::int64_t patience_ms_;
    std::uint64_t rounds_ = 0;
  };

  int size_;
  Table* table_;
};

}  // namespace tutti::transport
