#include "transport/rdma/registration_cache.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"

namespace tutti::transport::rdma {
namespace {

// Registrations that fail in a row, whatever the memory: the limit on locked memory or the device's
// own is reached, and asking again costs more than copying.
constexpr int kFailuresMax = 16;

// The whole pages that hold the bytes; empty when there are none.
PageRange pages_of(const void* data, std::size_t bytes) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  if (bytes == 0 || begin > UINTPTR_MAX - page - bytes) return {};
  return {begin / page * page, (begin + bytes + page - 1) / page * page};
}

}  // namespace

RegistrationCache::RegistrationCache(std::span<const std::unique_ptr<Rail>> rails, Limits limits,
                                     const MemoryMonitor::Open& open)
    : rails_(rails), limits_(limits), kept_(rails) {
  index_.reserve(limits_.entries);
  auto monitor = MemoryMonitor::create(*this, open);
  if (monitor.ok()) {
    monitor_ = *std::move(monitor);
  } else {
    off_reason_ = monitor.status().message();
  }
}

RegistrationCache::~RegistrationCache() {
  if (monitor_ == nullptr) return;
  {
    const auto held = monitor_->lock();
    monitor_->settle();
    while (!live_.empty()) {
      assert(live_.front().uses == 0);
      monitor_->unwatch(live_.front().range);
      forget(first_beyond(live_.front().range.begin));
    }
  }
  // Before the entries: nobody reads events any more, so nothing may be watched when they free.
  monitor_.reset();
}

const Region* RegistrationCache::acquire(const void* data, std::size_t bytes) {
  if (const Region* const kept = kept_.acquire(data, bytes); kept != nullptr) return kept;
  const PageRange range = pages_of(data, bytes);
  if (!off_reason_.empty() || range.bytes() == 0) return nullptr;
  Entries dead;  // deregistered and freed at the end, without the lock
  {
    const auto held = monitor_->lock();
    const bool settled = monitor_->settle();
    take_unused(dead);
    if (!settled) return nullptr;
    if (const auto place = find(range); place != index_.end()) {
      const Entries::iterator entry = *place;
      live_.splice(live_.begin(), live_, entry);
      ++entry->uses;
      ++hits_;
      return entry->region.get();
    }
  }
  return add(range);
}

void RegistrationCache::release(const Region* region) {
  if (kept_.release(region)) return;
  Entries dead;
  const auto held = monitor_->lock();
  const auto begin = reinterpret_cast<std::uintptr_t>(region->address());
  const auto place = first_beyond(begin);
  if (place != index_.end() && (*place)->region.get() == region) {
    --(*place)->uses;
    return;
  }
  for (Entry& entry : retired_) {
    if (entry.region.get() == region) --entry.uses;
  }
  take_unused(dead);
}

RegistrationCache::Counts RegistrationCache::counts() {
  if (monitor_ == nullptr) return {};
  const auto held = monitor_->lock();
  return {live_.size(), live_bytes_, retired_.size(), hits_, registrations_};
}

// A miss. What overlaps is registered again as one, so that entries stay disjoint and buffers that
// are used in shifting windows end in a single entry.
const Region* RegistrationCache::add(PageRange range) {
  PageRange whole = range;
  Entries dead;
  {
    const auto held = monitor_->lock();
    for (auto place = first_beyond(range.begin);
         place != index_.end() && (*place)->range.overlaps(range);) {
      whole.begin = std::min(whole.begin, (*place)->range.begin);
      whole.end = std::max(whole.end, (*place)->range.end);
      place = forget(place);
    }
    take_unused(dead);
  }
  dead.clear();
  const Region* region = try_add(whole);
  if (region == nullptr && whole != range) region = try_add(range);
  return region;
}

const Region* RegistrationCache::try_add(PageRange range) {
  if (!make_room(range.bytes())) return nullptr;
  Entries fresh;
  Entry& entry = fresh.emplace_back(Entry{.range = range, .region = nullptr});
  {
    const auto held = monitor_->lock();
    pending_ = &entry;
  }
  // Watched first: what happens to the memory from here on is known before the entry is used. Its
  // kind is asked for early, since registering in vain is dear, and again once every page is there.
  bool ready = monitor_->watch(range) && monitor_->is_private(range) && register_entry(entry) &&
               monitor_->is_private(range);
  const auto held = monitor_->lock();
  ready = monitor_->settle() && entry.valid && ready;
  pending_ = nullptr;
  if (!ready) {
    monitor_->unwatch(range);
    return nullptr;
  }
  entry.uses = 1;
  insert(fresh);
  return live_.front().region.get();
}

bool RegistrationCache::register_entry(Entry& entry) {
  while (true) {
    // Ranges are numbers, as in the kernel's events.
    void* const begin = reinterpret_cast<void*>(entry.range.begin);  // NOLINT(*-no-int-to-ptr)
    auto region =
        Region::create(rails_, begin, entry.range.bytes(), 0, "for a buffer of the caller");
    if (region.ok()) {
      entry.region = *std::move(region);
      failures_ = 0;
      return true;
    }
    // Perhaps too much is locked: give back what nobody uses.
    if (evict_oldest()) continue;
    if (++failures_ == kFailuresMax) off_reason_ = region.status().message();
    return false;
  }
}

bool RegistrationCache::make_room(std::size_t bytes) {
  if (bytes > limits_.bytes) return false;
  while (true) {
    {
      const auto held = monitor_->lock();
      if (live_.size() < limits_.entries && live_bytes_ <= limits_.bytes - bytes) return true;
    }
    if (!evict_oldest()) return false;
  }
}

bool RegistrationCache::evict_oldest() {
  Entries dead;
  const auto held = monitor_->lock();
  monitor_->settle();
  const auto oldest =
      std::find_if(live_.rbegin(), live_.rend(), [](const Entry& e) { return e.uses == 0; });
  if (oldest == live_.rend()) return false;
  monitor_->unwatch(oldest->range);
  forget(first_beyond(oldest->range.begin));
  take_unused(dead);
  return true;
}

void RegistrationCache::gone(PageRange range) noexcept {
  if (pending_ != nullptr && pending_->range.overlaps(range)) pending_->valid = false;
  for (auto place = first_beyond(range.begin);
       place != index_.end() && (*place)->range.overlaps(range);) {
    const PageRange entry = (*place)->range;
    monitor_->unwatch({entry.begin, range.begin});
    monitor_->unwatch({range.end, entry.end});
    place = forget(place);
  }
}

RegistrationCache::Places::iterator RegistrationCache::first_beyond(std::uintptr_t address) {
  return std::partition_point(index_.begin(), index_.end(),
                              [&](Entries::iterator entry) { return entry->range.end <= address; });
}

RegistrationCache::Places::iterator RegistrationCache::find(PageRange range) {
  const auto place = first_beyond(range.begin);
  return place != index_.end() && (*place)->range.contains(range) ? place : index_.end();
}

void RegistrationCache::insert(Entries& fresh) {
  const PageRange range = fresh.front().range;
  live_.splice(live_.begin(), fresh);
  index_.insert(first_beyond(range.begin), live_.begin());
  live_bytes_ += range.bytes();
  ++registrations_;
}

RegistrationCache::Places::iterator RegistrationCache::forget(Places::iterator place) noexcept {
  live_bytes_ -= (*place)->range.bytes();
  (*place)->valid = false;
  retired_.splice(retired_.end(), live_, *place);
  return index_.erase(place);
}

void RegistrationCache::take_unused(Entries& dead) noexcept {
  for (auto entry = retired_.begin(); entry != retired_.end();) {
    const auto next = std::next(entry);
    if (entry->uses == 0) dead.splice(dead.end(), retired_, entry);
    entry = next;
  }
}

}  // namespace tutti::transport::rdma
