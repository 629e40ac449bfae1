#include "transport/rdma/registration_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "transport/rdma/cache_fixture.h"
#include "transport/rdma/pages.h"

namespace tutti::transport::rdma {
namespace {

using testing::HasSubstr;

TEST_F(RegistrationCacheTest, FindsWhatItRegistered) {
  Pages pages(8);
  const std::uint32_t key = key_of(pages);
  ASSERT_NE(key, 0u);
  EXPECT_EQ(key_of(pages), key);
  EXPECT_EQ(key_of(pages.page(2) + 5, 100), key) << "within";
  EXPECT_EQ(cache_->counts().hits, 2u);
  EXPECT_EQ(cache_->counts().registrations, 1u);
  EXPECT_EQ(fabric_.counts().mrs, 2) << "one per rail";
}

TEST_F(RegistrationCacheTest, RegistersWholePagesAndNothingForNothing) {
  Pages pages(2);
  EXPECT_NE(key_of(pages.page(0) + 10, page_bytes()), 0u);
  EXPECT_EQ(cache_->counts().bytes, 2 * page_bytes());
  EXPECT_EQ(cache_->acquire(pages.data(), 0), nullptr);
  EXPECT_EQ(cache_->acquire(pages.data(), ~std::size_t{0}), nullptr);
}

TEST_F(RegistrationCacheTest, OverlappingBuffersBecomeOne) {
  Pages pages(8);
  const Region* first = cache_->acquire(pages.page(0), 3 * page_bytes());
  const Region* last = cache_->acquire(pages.page(5), 3 * page_bytes());
  ASSERT_NE(first, nullptr);
  ASSERT_NE(last, nullptr);
  const std::uint32_t all = key_of(pages.page(2), 4 * page_bytes());
  ASSERT_NE(all, 0u);
  EXPECT_EQ(cache_->counts().entries, 1u);
  EXPECT_EQ(cache_->counts().bytes, pages.bytes());
  EXPECT_EQ(key_of(pages), all);
  EXPECT_EQ(fabric_.counts().mrs, 6) << "those in use stay registered";
  cache_->release(first);
  cache_->release(last);
  EXPECT_EQ(fabric_.counts().mrs, 2);
}

TEST_F(RegistrationCacheTest, MemoryMappedAnewIsRegisteredAnew) {
  Pages pages(4);
  const std::uint32_t before = key_of(pages);
  pages.renew();
  const std::uint32_t after = key_of(pages);
  EXPECT_NE(after, 0u);
  EXPECT_NE(after, before);
  EXPECT_EQ(fabric_.counts().mrs, 2) << "the old one is gone";
}

// What others map there meanwhile, as the sanitizers do, is registered: hence no test for null.
TEST_F(RegistrationCacheTest, UnmappedMemoryIsNotFound) {
  Pages pages(4);
  std::byte* const place = pages.data();
  const std::uint32_t before = key_of(pages);
  ASSERT_NE(before, 0u);
  pages.unmap();
  EXPECT_NE(key_of(place, 4 * page_bytes()), before);
}

TEST_F(RegistrationCacheTest, PartOfItUnmappedForgetsAllOfIt) {
  Pages pages(4);
  const std::uint32_t before = key_of(pages);
  ASSERT_EQ(::munmap(pages.page(1), page_bytes()), 0);
  EXPECT_NE(key_of(pages.page(0), 2 * page_bytes()), before);
  const std::uint32_t front = key_of(pages.page(0), page_bytes());
  const std::uint32_t back = key_of(pages.page(2), 2 * page_bytes());
  EXPECT_NE(front, 0u);
  EXPECT_NE(front, before);
  EXPECT_NE(back, 0u);
  EXPECT_NE(back, before);
  EXPECT_NE(back, front);
}

TEST_F(RegistrationCacheTest, MovedMemoryIsRegisteredAnew) {
  Pages pages(4);
  Pages room(4);
  const std::uint32_t before = key_of(pages);
  ASSERT_EQ(::mremap(pages.data(), pages.bytes(), room.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED,
                     room.data()),
            room.data());
  const std::uint32_t moved = key_of(room);
  EXPECT_NE(moved, 0u);
  EXPECT_NE(moved, before);
  EXPECT_NE(key_of(pages), before);
  pages.disown();

  ASSERT_EQ(::mremap(room.data(), room.bytes(), 2 * page_bytes(), 0), room.data());  // shrinks
  EXPECT_NE(key_of(room.data(), 2 * page_bytes()), moved);
}

TEST_F(RegistrationCacheTest, DiscardedPagesAreRegisteredAnew) {
  Pages pages(4);
  const std::uint32_t before = key_of(pages);
  ASSERT_EQ(::madvise(pages.page(2), page_bytes(), MADV_DONTNEED), 0);
  const std::uint32_t after = key_of(pages);
  EXPECT_NE(after, 0u);
  EXPECT_NE(after, before);
  ASSERT_EQ(::madvise(pages.data(), pages.bytes(), MADV_DONTNEED), 0) << "the new one too";
  EXPECT_NE(key_of(pages), after);
}

TEST_F(RegistrationCacheTest, FreedMemoryIsForgotten) {
#ifdef TUTTI_SANITIZE
  GTEST_SKIP() << "the sanitizers' allocators keep freed memory mapped";
#endif
  constexpr std::size_t kBytes = std::size_t{64} << 20;  // beyond what malloc keeps
  void* memory = std::malloc(kBytes);
  std::memset(memory, 1, kBytes);
  ASSERT_NE(key_of(memory, kBytes), 0u);
  // Through a volatile, so that no compiler follows a pointer to what is free.
  volatile std::uintptr_t place = reinterpret_cast<std::uintptr_t>(memory);
  std::free(memory);
  EXPECT_EQ(cache_->acquire(reinterpret_cast<const void*>(place), kBytes), nullptr);
  EXPECT_EQ(fabric_.counts().mrs, 0);
}

TEST_F(RegistrationCacheTest, TheHeapsEndIsForgottenWhenItShrinks) {
  constexpr int kBytes = 1 << 20;
  void* memory = ::sbrk(kBytes);
  if (memory == reinterpret_cast<void*>(-1)) GTEST_SKIP() << "the heap cannot grow here";
  std::memset(memory, 1, kBytes);
  const std::uint32_t before = key_of(memory, kBytes);
  EXPECT_NE(before, 0u);
  ASSERT_EQ(::sbrk(0), static_cast<std::byte*>(memory) + kBytes) << "somebody else moved it";
  ::sbrk(-kBytes);
  ::sbrk(kBytes);
  std::memset(memory, 2, kBytes);
  const std::uint32_t after = key_of(memory, kBytes);
  EXPECT_NE(after, 0u);
  EXPECT_NE(after, before);
  ::sbrk(-kBytes);
}

TEST_F(RegistrationCacheTest, MemoryInUseIsDeregisteredWhenReleased) {
  Pages pages(4);
  const Region* region = cache_->acquire(pages.data(), pages.bytes());
  ASSERT_NE(region, nullptr);
  ASSERT_EQ(cache_->acquire(pages.data(), 1), region);
  pages.renew();
  const std::uint32_t fresh = key_of(pages);
  EXPECT_NE(fresh, region->lkey(0)) << "not found again";
  EXPECT_EQ(cache_->counts().retired, 1u);
  cache_->release(region);
  EXPECT_EQ(fabric_.counts().mrs, 4) << "it was acquired twice";
  cache_->release(region);
  EXPECT_EQ(fabric_.counts().mrs, 2);
  EXPECT_EQ(key_of(pages), fresh);
}

TEST_F(RegistrationCacheTest, WatchesReadOnlyMemoryButNotSharedOrFiles) {
  Pages pages(2);
  ASSERT_EQ(::mprotect(pages.data(), pages.bytes(), PROT_READ), 0);
  EXPECT_NE(key_of(pages), 0u);

  const std::uint64_t before = cache_->counts().registrations;
  const int memory_file = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(memory_file, static_cast<off_t>(page_bytes())), 0);
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  for (const auto& [fd, flags, access] :
       {std::tuple(memory_file, MAP_SHARED, PROT_READ | PROT_WRITE),
        std::tuple(-1, MAP_SHARED | MAP_ANONYMOUS, PROT_READ | PROT_WRITE),
        std::tuple(file, MAP_PRIVATE, PROT_READ)}) {
    void* mapped = ::mmap(nullptr, page_bytes(), access, flags, fd, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    if ((access & PROT_WRITE) != 0) std::memset(mapped, 1, page_bytes());
    EXPECT_EQ(cache_->acquire(mapped, page_bytes()), nullptr);
    ::munmap(mapped, page_bytes());
  }
  ::close(memory_file);
  ::close(file);
  EXPECT_EQ(cache_->counts().registrations, before);
  EXPECT_EQ(fabric_.counts().mrs, 2);
}

TEST_F(RegistrationCacheTest, MemoryUnmappedWhileItIsRegisteredIsNotUsed) {
  Pages pages(4);
  fabric_.during("reg_mr", [&] { pages.renew(); });
  EXPECT_EQ(cache_->acquire(pages.data(), pages.bytes()), nullptr);
  EXPECT_EQ(cache_->counts().entries, 0u);
  EXPECT_EQ(fabric_.counts().mrs, 0);
  EXPECT_NE(key_of(pages), 0u);
}

TEST_F(RegistrationCacheTest, SharedMemoryThatNobodyTouchedIsSharedAllTheSame) {
  void* shared =
      ::mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  // As a device's driver does, so that there are pages.
  fabric_.during("reg_mr", [&] { std::memset(shared, 1, page_bytes()); });
  EXPECT_EQ(cache_->acquire(shared, page_bytes()), nullptr);
  EXPECT_EQ(fabric_.counts().mrs, 0);
  ASSERT_EQ(::munmap(shared, page_bytes()), 0);
}

TEST_F(RegistrationCacheTest, TheOldestUnusedGoesFirst) {
  start({.bytes = 16 * page_bytes(), .entries = 2});
  const Pages a(1);
  const Pages b(1);
  const Pages c(1);
  const Pages d(1);
  // Neighbours are no overlap.
  const std::uint32_t key_a = key_of(a);
  EXPECT_NE(key_of(b), 0u);
  EXPECT_EQ(key_of(a), key_a);
  EXPECT_NE(key_of(c), 0u);  // b goes: a was used since
  EXPECT_EQ(key_of(a), key_a);
  const Region* used = cache_->acquire(b.data(), 1);  // c goes
  EXPECT_EQ(key_of(a), key_a);
  EXPECT_NE(key_of(c), 0u);  // a goes: b is older, but in use
  EXPECT_EQ(cache_->counts().entries, 2u);
  EXPECT_EQ(key_of(b), used->lkey(0));
  const Region* too = cache_->acquire(c.data(), 1);
  EXPECT_EQ(cache_->acquire(d.data(), 1), nullptr) << "all are in use";
  EXPECT_NE(key_of(c), 0u);
  cache_->release(too);
  cache_->release(used);
  EXPECT_NE(key_of(a), key_a);
}

TEST_F(RegistrationCacheTest, BytesAreLimitedToo) {
  start({.bytes = 4 * page_bytes(), .entries = 16});
  const Pages small(3);
  const Pages large(5);
  const Pages other(2);
  EXPECT_NE(key_of(small), 0u);
  EXPECT_EQ(cache_->acquire(large.data(), large.bytes()), nullptr);
  EXPECT_EQ(cache_->counts().entries, 1u) << "what can never fit drives nobody out";
  EXPECT_NE(key_of(other), 0u);
  EXPECT_EQ(cache_->counts().bytes, 2 * page_bytes());
}

TEST_F(RegistrationCacheTest, GivesBackTheUnusedWhenRegisteringFails) {
  const Pages old(1);
  const Pages fresh(1);
  ASSERT_NE(key_of(old), 0u);
  fabric_.fail("reg_mr", 1, ENOMEM);
  EXPECT_NE(key_of(fresh), 0u);
  EXPECT_EQ(cache_->counts().entries, 1u);
}

TEST_F(RegistrationCacheTest, StopsAskingWhenNothingCanBeRegistered) {
  const Pages pages(1);
  fabric_.fail("reg_mr", 0, ENOMEM);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(cache_->acquire(pages.data(), 1), nullptr);
  EXPECT_THAT(cache_->off_reason(), HasSubstr("ibv_reg_mr failed on fake0 port 1"));
  EXPECT_THAT(cache_->off_reason(), HasSubstr("for a buffer of the caller"));
  const int calls = fabric_.calls("reg_mr");
  EXPECT_EQ(cache_->acquire(pages.data(), 1), nullptr);
  EXPECT_EQ(fabric_.calls("reg_mr"), calls);
}

TEST_F(RegistrationCacheTest, IsOffWhereMemoryCannotBeWatched) {
  RegistrationCache off(rails_, {}, [] {
    return Result<Fd>(Status::error(Code::unavailable, "no userfaultfd here"));
  });
  const Pages pages(1);
  EXPECT_EQ(off.acquire(pages.data(), 1), nullptr);
  EXPECT_EQ(off.off_reason(), "no userfaultfd here");
  EXPECT_EQ(off.counts().entries, 0u);
}

TEST_F(RegistrationCacheTest, TwoCachesDoNotDisturbEachOther) {
  Pages pages(1);
  const Pages own(1);
  const std::uint32_t key = key_of(pages);
  {
    RegistrationCache other(rails_);
    EXPECT_EQ(other.acquire(pages.data(), 1), nullptr) << "a page has one watcher";
    const Region* region = other.acquire(own.data(), 1);
    ASSERT_NE(region, nullptr);
    other.release(region);
    EXPECT_EQ(key_of(pages), key);
  }
  EXPECT_EQ(key_of(pages), key);
  EXPECT_NE(key_of(own), 0u) << "free again";
}

}  // namespace
}  // namespace tutti::transport::rdma
