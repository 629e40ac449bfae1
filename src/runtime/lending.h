// Whether a long block is lent, for its readers to copy it out of this rank's process or out of
// memory that it allocated, or staged in slots, through the cache or past it: learned from what
// each has taken on this machine, with these callers.
//
// No rule does: one copy by the kernel in place of two of ours is up to three times as fast on one
// machine and eight times as slow on another, and slower on both if the block was written just
// before; and a reader takes what lies modified in another core's cache up to three times as slowly
// as what lies in memory, or twice as fast (docs/decisions/0015). So the ranks measure what they do
// anyway, once in a while do something else, and senders choose what took less. A result has the
// same bits either way.
//
// Lifetime: an engine's. One thread at a time; what peers read of it lies in this rank's area.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "device/reduce.h"
#include "runtime/engine_area.h"

namespace tutti::runtime {

enum class Way : std::uint8_t { lent, staged, streamed };
// Of a byte, or of a call, in ticks; 0 where it is not known.
using WayCosts = std::array<float, kWays>;

constexpr std::size_t index_of(Way way) {
  return static_cast<std::size_t>(way);
}

// How a sender that does not lend stores into slots.
constexpr device::Store store_of(Way way) {
  return way == Way::streamed ? device::Store::streaming : device::Store::shared;
}

// A clock that takes a few nanoseconds to read. Its unit is its own, the same for all ranks of a
// host.
inline std::int64_t ticks() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  return static_cast<std::int64_t>(__builtin_ia32_rdtsc());
#elif defined(__aarch64__)
  std::int64_t count = 0;
  asm volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
#else
  return std::chrono::steady_clock::now().time_since_epoch().count();
#endif
}

// The size class of a block, of those that may be lent.
inline std::size_t size_class(std::int64_t bytes) {
  constexpr int kLeastWidth = 14;  // of 8 KiB
  const auto width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bytes)));
  return static_cast<std::size_t>(std::clamp(width - kLeastWidth, 0, kSizeClasses - 1));
}

// The least of recent measurements, 0 when there is none: an interruption makes one longer, and
// nothing shorter. What has become slower by half is known after four. One that is not positive
// comes of CPUs whose clocks differ, and tells nothing.
inline float least(float before, float measured) {
  constexpr float kRise = 1.125F;
  if (!(measured > 0)) return before;
  return before == 0 ? measured : std::min(measured, before * kRise);
}

// Which way the calls of one class of sizes go. Same calls and same weights give the same ways.
class Trial {
 public:
  // Of the ways from `first` on, which is taken until another is known to take less.
  explicit Trial(Way first = Way::lent) : first_(index_of(first)), way_(first) {}

  bool lends() const { return first_ == index_of(Way::lent); }

  Way next(std::size_t size_class) {
    ++calls_;
    length_ = trial_calls(size_class);
    if (tried_ == 0 && !begin()) return way_;
    if (++tried_ >= length_) end();
    return trying_;
  }
  // Is it time to weigh? What readers say lies in lines of theirs: seldom for short calls. Not in
  // every eighth, which in an exchange among nine ranks would be with the same peer each time.
  bool due(std::size_t size_class) const {
    constexpr std::uint64_t kCallsPerLook = 11;
    return size_class > kOneSlot || calls_ % kCallsPerLook == 0;
  }
  // What a call takes each way, as far as it is known: 0 where it is not. In a trial, and until its
  // way is used to the caches again, too little is.
  void weigh(const WayCosts& costs) {
    const float current = costs[index_of(way_)];
    if (current == 0 || tried_ > 0 || calls_ < trial_end_ + length_) return;
    Way best = way_;
    for (std::size_t way = first_; way < kWays; ++way) {
      if (costs[way] == 0) continue;
      others_[way].excess = costs[way] / current - 1;
      others_[way].is_known = true;
      if (costs[way] < costs[index_of(best)]) best = static_cast<Way>(way);
    }
    if (costs[index_of(best)] > kClearlyLess * current) return;
    others_[index_of(way_)] = {.excess = 0, .most = kLeast, .end = calls_, .is_known = true};
    way_ = best;
    trial_end_ = calls_;
  }

 private:
  // The first trials come soon, others so seldom that each way's cost 1.5% of the time: by and by,
  // each after twice as long as the one before or when they cost 3%, since what is known of a way
  // may be wrong. In lengths of a trial.
  static constexpr std::uint64_t kFirst = 3;  // call
  static constexpr float kLeast = 16;
  static constexpr float kMost = 512;
  static constexpr float kCost = 0.015F;
  static constexpr float kEarlyCost = 0.03F;
  static constexpr float kClearlyLess = 0.9F;
  static constexpr std::size_t kOneSlot = 4;  // of 128 KiB

  // What is known of a way that is not taken.
  struct Other {
    float excess = 0;       // of its time over that of the way that is, as last weighed
    float most = kLeast;    // lengths until its next trial
    std::uint64_t end = 0;  // the last call of the one before, or 0
    bool is_known = false;
  };

  // The first calls of a trial find the caches as this way has left them: it goes on until this
  // one has used all the board's slots.
  static std::uint64_t trial_calls(std::size_t size_class) {
    constexpr std::size_t kOneUnit = 1;  // of 16 to 32 KiB
    constexpr std::uint64_t kSlots = kSlotUnits * kSlotUnitBytes / kSlotBytes;
    if (size_class > kOneSlot) {
      return std::max<std::uint64_t>(2, (kSlots + 2) >> (size_class - kOneSlot));
    }
    const std::size_t doublings = size_class > kOneUnit ? size_class - kOneUnit : 0;
    return std::max(kSlots, kSlotUnits >> doublings) + 2;
  }
  // Of the ways that are not taken, is one to be tried?
  bool begin() {
    if (trial_end_ > 0 && calls_ < trial_end_ + length_) return false;
    for (std::size_t way = first_; way < kWays; ++way) {
      const Other& other = others_[way];
      if (static_cast<Way>(way) == way_ || calls_ < other.end + interval(other)) continue;
      trying_ = static_cast<Way>(way);
      return true;
    }
    return false;
  }
  void end() {
    Other& tried = others_[index_of(trying_)];
    tried.end = trial_end_ = calls_;
    tried.most = std::min(2 * tried.most, kMost);
    tried_ = 0;
  }
  std::uint64_t interval(const Other& other) const {
    if (other.end == 0) return kFirst;
    const float most = std::max(other.most, std::min(other.excess / kEarlyCost, kMost));
    const float lengths = other.is_known ? std::clamp(other.excess / kCost, kLeast, most) : most;
    return length_ * static_cast<std::uint64_t>(lengths);
  }

  std::size_t first_;
  Way way_;
  Way trying_ = Way::lent;
  std::array<Other, kWays> others_;
  std::uint64_t calls_ = 0;
  std::uint64_t length_ = 0;     // of a trial
  std::uint64_t tried_ = 0;      // calls of the one that is under way
  std::uint64_t trial_end_ = 0;  // the last call of the one before, or 0
};

// On whom a call's time depends, for one that sends in it.
struct Traffic {
  BlockKind kind = BlockKind::pair;
  std::int64_t bytes = 0;  // of a block: of several, the longest that is sent
  int senders = 1;
  int receivers = 1;
  int takes = 1;           // blocks that one receiver takes
  bool both_ways = false;  // senders are receivers too
  bool keeps = false;      // a sender copies a block of its own to its output
  bool allocated = false;  // what is lent: mapped by its readers
};

// What each part takes for a byte of a block, in ticks; 0 where that is not known.
struct Costs {
  WayCosts send{};  // all that a sender copies into slots: nothing where it is lent
  float keep = 0;   // and into its own output meanwhile
  WayCosts take{};  // a block by its reader
};
// Of the whole call. With more ranks than CPUs it is everybody's work that counts.
WayCosts weigh(const Traffic& traffic, const Costs& costs, bool crowded);

class Lending {
 public:
  // `tables`: all ranks' by rank, in memory that they share; each is written by its rank alone.
  // `crowded`: more ranks than CPUs.
  Lending(int rank, std::vector<TakenTable*> tables, bool crowded)
      : rank_(rank), tables_(std::move(tables)), crowded_(crowded) {
    for (const BlockKind kind : {BlockKind::reduce, BlockKind::reduce_scatter}) never_lend(kind);
  }
  // Processes cannot read each other: only what was allocated is lent.
  void never_lend() {
    for (std::size_t kind = 0; kind < kBlockKinds; ++kind) never_lend(static_cast<BlockKind>(kind));
  }

  // Of the sender's next call. `receiver`: the only one, or -1: all others.
  Way next(const Traffic& traffic, int receiver);
  // What it took this rank to copy all that it sends in a call to its slots, or to its output.
  void staged(const Traffic& traffic, Way way, std::int64_t took);
  void kept(const Traffic& traffic, std::int64_t took);
  // What it took this rank to take a block.
  void took(const Traffic& traffic, Way way, std::int64_t took);

 private:
  struct Sent {
    Trial& trial(const Traffic& traffic) { return traffic.allocated ? allocated_trial : own_trial; }

    Trial own_trial;        // of blocks in the sender's own memory
    Trial allocated_trial;  // and of those in memory that it allocated
    WayCosts stage{};
    float keep = 0;
  };
  void never_lend(BlockKind kind) {
    for (Sent& one : sent_[static_cast<std::size_t>(kind)]) one.own_trial = Trial(Way::staged);
  }
  Sent& sent(const Traffic& traffic) {
    return sent_[static_cast<std::size_t>(traffic.kind)][size_class(traffic.bytes)];
  }
  // The slowest of those who have taken blocks staged, and lent if `lends`; in an uneven call some
  // have shorter ones.
  Costs costs(const Traffic& traffic, const Sent& sent, bool lends, int receiver) const;

  std::atomic<float>& taken(int rank, const Traffic& traffic, Way way) const {
    TakenTable& table = *tables_[static_cast<std::size_t>(rank)];
    Taken& taken = table[static_cast<std::size_t>(traffic.kind)][size_class(traffic.bytes)];
    return traffic.allocated && way == Way::lent ? taken.mapped : taken.way[index_of(way)];
  }

  int rank_;
  std::vector<TakenTable*> tables_;
  bool crowded_;
  std::array<std::array<Sent, kSizeClasses>, kBlockKinds> sent_;
};

}  // namespace tutti::runtime
