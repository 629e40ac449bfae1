#include "transport/heap.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "base/error.h"
#include "base/memory_left.h"
#include "base/try.h"

namespace tutti::transport {
namespace {

constexpr std::size_t kBackingStepBytes = 16 << 20;
// A view of up to this is populated when it is mapped, within some 10 ms: a page fault for each
// page would be on the way of the first message. Of a larger one, a message may need but a little.
constexpr std::size_t kPopulateBytes = 256 << 20;

std::size_t whole_pages(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

// Asked first: the kernel would hand out what there is before it fails, or end the process.
Status check_available(std::size_t bytes) {
  const Status left = check_memory_left(bytes);
  if (left.ok()) return {};
  return error(left.code(), "cannot allocate {} bytes: {}", bytes, left.message());
}

Status no_memory(std::size_t bytes, int failure) {
  return error(Code::unavailable,
               "cannot allocate {} bytes: {}; allocate less, or raise the limit of this host, "
               "container or process (ulimit -v)",
               bytes, errno_text(failure));
}

// Gives the file its pages, or returns an error number. In steps, because a signal undoes the whole
// of one.
int back(int descriptor, off_t start, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t step = std::min(bytes - done, kBackingStepBytes);
    const int failure =
        ::posix_fallocate(descriptor, start + static_cast<off_t>(done), static_cast<off_t>(step));
    if (failure == EINTR) continue;
    if (failure != 0) return failure;
    done += step;
  }
  return 0;
}

// Where the kernel cannot, the pages stay until the communicator ends.
void give_back(int descriptor, off_t start, std::size_t bytes) {
  ::fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
              static_cast<off_t>(bytes));
}

void unmap(std::span<std::byte> memory) {
  ::munmap(memory.data(), memory.size());
}

}  // namespace

Heap::Heap(HeapSpace space, int local_rank)
    : space_(std::move(space)),
      local_rank_(local_rank),
      slots_(kHeapSlots),
      views_(space_.begins.size()) {
  // Areas are whole pages of 4 KiB; the machine's pages may be larger (arm64, POWER).
  if (space_.segment == nullptr) return;
  const std::size_t begin = space_.begins[static_cast<std::size_t>(local_rank_)];
  used_ = whole_pages(begin) - begin;
}

Heap::~Heap() {
  for (const auto& of_rank : views_) {
    for (const View& view : of_rank) {
      if (!view.memory.empty()) unmap(view.memory);
    }
  }
}

Result<std::span<std::byte>> Heap::allocate(std::size_t bytes) {
  assert(bytes > 0);
  TUTTI_TRY(check_available(bytes));
  const std::lock_guard lock(mutex_);
  Slot* const slot = slot_at(0);
  if (slot == nullptr) {
    return error(Code::unavailable,
                 "cannot allocate {} bytes: this communicator has {} allocations already; free "
                 "some, or make fewer and larger ones",
                 bytes, kHeapSlots);
  }
  const std::uint64_t offset = used_;
  TUTTI_TRY_ASSIGN(const std::span<std::byte> memory, map(whole_pages(bytes)));
  write(*slot, reinterpret_cast<std::uintptr_t>(memory.data()), memory.size(), offset);
  return memory.first(bytes);
}

// The next `bytes` of the file space, mapped.
Result<std::span<std::byte>> Heap::map(std::size_t bytes) {
  int descriptor = -1;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  off_t start = 0;
  if (space_.segment != nullptr) {
    if (bytes > space_.bytes - used_) {
      return error(
          Code::unavailable,
          "cannot allocate {} bytes: {} of this communicator's {} bytes of file space were "
          "used; allocate from another communicator",
          bytes, used_, space_.bytes);
    }
    descriptor = space_.segment->descriptor();
    flags = MAP_SHARED;
    start = static_cast<off_t>(space_.begins[static_cast<std::size_t>(local_rank_)] + used_);
    const int failure = back(descriptor, start, bytes);
    if (failure != 0) {
      give_back(descriptor, start, bytes);
      return no_memory(bytes, failure);
    }
    used_ += bytes;
  }
  void* const at =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, descriptor, start);
  if (at != MAP_FAILED) return std::span(static_cast<std::byte*>(at), bytes);
  const int failure = errno;
  if (descriptor >= 0) give_back(descriptor, start, bytes);
  return no_memory(bytes, failure);
}

Status Heap::free(const void* data) {
  const std::lock_guard lock(mutex_);
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  Slot* const slot = data == nullptr ? nullptr : slot_at(begin);
  if (slot == nullptr) {
    return error(Code::invalid_argument,
                 "{} is not the start of memory that this communicator allocated, or it was freed "
                 "before",
                 data);
  }
  const std::size_t bytes = slot->bytes.load(std::memory_order_relaxed);
  const std::uint64_t offset = slot->offset.load(std::memory_order_relaxed);
  write(*slot, 0, 0, 0);
  unmap({static_cast<std::byte*>(const_cast<void*>(data)), bytes});
  if (space_.segment == nullptr || ::getpid() != owner_) return {};
  const std::size_t start = space_.begins[static_cast<std::size_t>(local_rank_)] + offset;
  give_back(space_.segment->descriptor(), static_cast<off_t>(start), bytes);
  return {};
}

// The first slot with that address: 0 finds a free one.
Heap::Slot* Heap::slot_at(std::uintptr_t begin) noexcept {
  for (Slot& slot : slots_) {
    if (slot.begin.load(std::memory_order_relaxed) == begin) return &slot;
  }
  return nullptr;
}

// A sequence lock. The stores of the fields release, so that who reads one sees the odd version.
void Heap::write(Slot& slot, std::uintptr_t begin, std::size_t bytes,
                 std::uint64_t offset) noexcept {
  const std::uint64_t version = version_.load(std::memory_order_relaxed);
  version_.store(version + 1, std::memory_order_relaxed);
  slot.begin.store(begin, std::memory_order_release);
  slot.bytes.store(bytes, std::memory_order_release);
  slot.offset.store(offset, std::memory_order_release);
  const auto used = static_cast<std::size_t>(&slot - slots_.data()) + 1;
  if (used > slots_used_.load(std::memory_order_relaxed)) {
    slots_used_.store(used, std::memory_order_release);
  }
  version_.store(version + 2, std::memory_order_release);
}

std::optional<HeapPlace> Heap::find(const void* data, std::size_t bytes) const noexcept {
  if (space_.segment == nullptr) return std::nullopt;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  while (true) {
    const std::uint64_t version = version_.load(std::memory_order_acquire);
    const std::size_t used = slots_used_.load(std::memory_order_acquire);
    std::optional<HeapPlace> place;
    for (std::size_t i = 0; i < used && !place; ++i) {
      const std::uintptr_t begin = slots_[i].begin.load(std::memory_order_acquire);
      const std::size_t length = slots_[i].bytes.load(std::memory_order_acquire);
      if (begin == 0 || address < begin || address - begin > length) continue;
      if (bytes > length - (address - begin)) continue;
      place =
          HeapPlace{i, slots_[i].offset.load(std::memory_order_acquire), length, address - begin};
    }
    if (version % 2 == 0 && version_.load(std::memory_order_relaxed) == version) return place;
  }
}

Result<std::byte*> Heap::reach(int owner, const HeapPlace& place) {
  assert(space_.segment != nullptr && place.slot < kHeapSlots);
  const auto rank = static_cast<std::size_t>(owner);
  std::vector<View>& views = views_[rank];
  if (views.empty()) views.resize(kHeapSlots);
  View& view = views[place.slot];
  if (view.offset != place.offset || view.memory.empty()) {
    if (!view.memory.empty()) unmap(std::exchange(view.memory, {}));
    const int populate = place.bytes <= kPopulateBytes ? MAP_POPULATE : 0;
    void* const at = ::mmap(nullptr, place.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | populate,
                            space_.segment->descriptor(),
                            static_cast<off_t>(space_.begins[rank] + place.offset));
    if (at == MAP_FAILED) {
      return error(Code::unavailable,
                   "{} cannot map {} bytes that {} allocated: {}; raise the limits of the former "
                   "(ulimit -v, with locked memory ulimit -l) or of its mappings (sysctl "
                   "vm.max_map_count), or use memory that is not allocated by the communicator",
                   space_.names[static_cast<std::size_t>(local_rank_)], place.bytes,
                   space_.names[rank], errno_text(errno));
    }
    view = {place.offset, {static_cast<std::byte*>(at), place.bytes}};
  }
  return view.memory.data() + place.within;
}

}  // namespace tutti::transport
