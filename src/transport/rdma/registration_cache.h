// The caller's memory, registered once and found again.
//
// A buffer that was registered before, or lies within one that was, costs a look-up of about 0.4 us
// rather than about 100 us per MiB. What the program unmaps, moves or discards is forgotten before
// anybody could find it again (see memory_monitor.h), and is deregistered once nobody uses it. The
// devices get the right to read only, so read-only memory works too.
//
// What its owner keeps mapped for us (keep()) is registered until he takes it back, unwatched: see
// kept_memory.h.
//
// Bounded in bytes and entries, but for what is kept: those unused for longest go first. acquire()
// and release() belong to one thread at a time; the monitor's thread invalidates in between. keep()
// and forget(): any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "transport/rdma/kept_memory.h"
#include "transport/rdma/memory_monitor.h"
#include "transport/rdma/rail.h"
#include "transport/rdma/region.h"

namespace tutti::transport::rdma {

class RegistrationCache final : private MemoryMonitor::Listener {
 public:
  struct Limits {
    std::size_t bytes = std::size_t{64} << 30;
    std::size_t entries = 1024;
  };
  // For tests and reports.
  struct Counts {
    std::size_t entries = 0;  // that can be found
    std::size_t bytes = 0;
    std::size_t retired = 0;  // forgotten but in use, or to be deregistered by the next call
    std::uint64_t hits = 0;
    std::uint64_t registrations = 0;
  };

  // `rails` outlive the cache. Without a userfaultfd the cache is off.
  explicit RegistrationCache(std::span<const std::unique_ptr<Rail>> rails)
      : RegistrationCache(rails, Limits{}) {}
  RegistrationCache(std::span<const std::unique_ptr<Rail>> rails, Limits limits,
                    const MemoryMonitor::Open& open = open_userfaultfd);
  RegistrationCache(const RegistrationCache&) = delete;
  RegistrationCache& operator=(const RegistrationCache&) = delete;
  // REQUIRES: everything acquired was released.
  ~RegistrationCache() override;

  // A registration that covers [data, data + bytes), or null when there can be none: the caller
  // copies instead. Valid until released.
  const Region* acquire(const void* data, std::size_t bytes);
  // REQUIRES: `region` came from acquire() and was not released as often.
  void release(const Region* region);

  // See KeptMemory.
  Status keep(const void* data, std::size_t bytes) { return kept_.keep(data, bytes); }
  void forget(const void* data) noexcept { kept_.forget(data); }

  // Why acquire() gives null for all but what is kept, or empty.
  const std::string& off_reason() const { return off_reason_; }
  Counts counts();

 private:
  struct Entry {
    PageRange range;
    std::unique_ptr<Region> region;
    int uses = 0;
    bool valid = true;
  };
  // Entries move between lists by splicing, which neither allocates nor frees.
  using Entries = std::list<Entry>;
  using Places = std::vector<Entries::iterator>;

  void gone(PageRange range) noexcept override;
  const Region* add(PageRange range);
  const Region* try_add(PageRange range);
  bool make_room(std::size_t bytes);
  bool evict_oldest();
  bool register_entry(Entry& entry);

  // REQUIRES of all below: the monitor's lock is held.
  Places::iterator first_beyond(std::uintptr_t address);
  Places::iterator find(PageRange range);
  void insert(Entries& fresh);
  Places::iterator forget(Places::iterator place) noexcept;
  void take_unused(Entries& dead) noexcept;

  const std::span<const std::unique_ptr<Rail>> rails_;
  const Limits limits_;
  KeptMemory kept_;
  std::string off_reason_;
  int failures_ = 0;  // registrations that failed in a row

  // Guarded by the monitor's lock.
  Entries live_;  // the last used first; their ranges do not overlap
  Places index_;  // of live_, by address; never beyond its capacity
  std::size_t live_bytes_ = 0;
  Entries retired_;
  Entry* pending_ = nullptr;  // is being registered
  std::uint64_t hits_ = 0;
  std::uint64_t registrations_ = 0;

  std::unique_ptr<MemoryMonitor> monitor_;  // last: its thread uses the above
};

}  // namespace tutti::transport::rdma
