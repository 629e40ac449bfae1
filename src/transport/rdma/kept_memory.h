// Memory that stays registered because its owner said that it stays mapped.
//
// Nobody watches it, so it may be of any kind, files and shared memory too, on hosts without a
// userfaultfd too; finding it costs no system call. Up to whoever registers: ranges do not overlap.
// What is forgotten while it is acquired is deregistered when it is released.
//
// Thread-safe: whoever registers and whoever sends may be two threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "transport/rdma/rail.h"
#include "transport/rdma/region.h"
#include "tutti/status.h"

namespace tutti::transport::rdma {

class KeptMemory {
 public:
  // `rails` outlive it.
  explicit KeptMemory(std::span<const std::unique_ptr<Rail>> rails) : rails_(rails) {}

  // Registers [data, data + bytes), which devices may read from then on. REQUIRES: bytes > 0.
  Status keep(const void* data, std::size_t bytes);
  // What begins there, if anything does.
  void forget(const void* data) noexcept;

  // The registration that covers the bytes, or null.
  const Region* acquire(const void* data, std::size_t bytes) noexcept;
  // False when `region` is none of these. REQUIRES: it was acquired and not released as often.
  bool release(const Region* region) noexcept;

 private:
  struct Entry {
    std::unique_ptr<Region> region;
    int uses = 0;
  };
  using Entries = std::vector<Entry>;

  static std::uintptr_t begin_of(const Entry& entry) {
    return reinterpret_cast<std::uintptr_t>(entry.region->address());
  }
  // The last entry of live_ that begins at the address or before, or its end.
  Entries::iterator at_or_before(std::uintptr_t address) noexcept;

  const std::span<const std::unique_ptr<Rail>> rails_;
  std::mutex mutex_;
  Entries live_;       // by address
  Entries forgotten_;  // in use
};

}  // namespace tutti::transport::rdma
