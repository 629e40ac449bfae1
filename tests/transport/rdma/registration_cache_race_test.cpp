// The cache while other threads and processes map and unmap.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cstring>
#include <future>
#include <thread>

#include "base/deadline.h"
#include "support/values.h"
#include "transport/pattern.h"
#include "transport/rdma/cache_fixture.h"

namespace tutti::transport::rdma {
namespace {

using RegistrationCacheRaceTest = RegistrationCacheTest;

// One thread unmaps while another waits for the very address: whoever gets it must never find what
// was registered there before. About one time in 5000 (Linux 6.18, two processors) it gets it
// before the event of the unmapping is there to be read, which is what settle() is for.
TEST_F(RegistrationCacheRaceTest, AnAddressThatIsMappedAnewAtOnceIsNotStale) {
  constexpr int kRounds = 30'000;
  constexpr std::size_t kPages = 4;
  const std::size_t bytes = kPages * page_bytes();
  const Deadline deadline = Deadline::after_ms(3'000);
  std::atomic<std::byte*> victim{nullptr};
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      std::byte* const place = victim.exchange(nullptr);
      if (place != nullptr) {
        EXPECT_EQ(::munmap(place, bytes), 0);
      }
    }
  });
  for (int round = 0; round < kRounds && !deadline.passed() && !HasFailure(); ++round) {
    Pages pages(kPages);
    std::byte* const place = pages.data();
    const std::uint32_t before = key_of(pages);
    pages.disown();
    victim = place;
    void* again = MAP_FAILED;
    while (again == MAP_FAILED && !deadline.passed()) {
      again = ::mmap(place, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    }
    if (again == MAP_FAILED) break;
    EXPECT_NE(key_of(place, bytes), before) << "in round " << round;
    EXPECT_EQ(::munmap(place, bytes), 0);
  }
  stop = true;
  other.join();
}

// Threads that map and unmap at random, and one that registers what is its own.
TEST_F(RegistrationCacheRaceTest, OthersMapAndUnmapMeanwhile) {
  constexpr int kLookups = 2000;
  const std::uint64_t seed = test::test_seed();
  std::atomic<bool> stop{false};
  const auto churn = [&](std::uint64_t key) {
    Random random(mix(seed ^ key));
    while (!stop) {
      Pages pages(1 + random.below(8));
      if (random.below(2) == 0) ::madvise(pages.data(), page_bytes(), MADV_DONTNEED);
      std::this_thread::yield();
    }
  };
  std::array<std::thread, 2> others = {std::thread(churn, 1), std::thread(churn, 2)};
  start({.bytes = std::size_t{1} << 30, .entries = 8});
  Random random(mix(seed));
  const Pages fixed(16);
  for (int i = 0; i < kLookups; ++i) {
    Pages fresh(1 + random.below(8));
    const Region* mine = cache_->acquire(fresh.data(), fresh.bytes());
    const Region* kept =
        cache_->acquire(fixed.page(random.below(8)), (1 + random.below(8)) * page_bytes());
    // Null is allowed: an unmapping may take long to settle on a busy machine.
    if (mine != nullptr) {
      EXPECT_EQ(mine->address(), fresh.data());
    }
    if (kept != nullptr) cache_->release(kept);
    if (random.below(2) == 0) fresh.unmap();
    if (mine != nullptr) cache_->release(mine);
  }
  stop = true;
  for (std::thread& other : others) other.join();
  EXPECT_GT(cache_->counts().registrations, 0u);
  EXPECT_GT(cache_->counts().hits, 0u);
}

TEST_F(RegistrationCacheRaceTest, AChildsCopyIsItsOwn) {
  Pages pages(4);
  const std::uint32_t key = key_of(pages);
  ASSERT_NE(key, 0u);
  const pid_t child = ::fork();
  if (child == 0) {
    // Nobody reads events for a child: none of this may wait.
    std::memset(pages.data(), 9, pages.bytes());
    const bool gone = ::munmap(pages.data(), pages.bytes()) == 0;
    ::_exit(gone ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(*pages.data(), std::byte{1});
  EXPECT_EQ(key_of(pages), key);
}

// A child keeps the userfaultfd open; nothing may then wait for a reader that is gone.
TEST_F(RegistrationCacheRaceTest, EndsWhileAChildLives) {
  Pages pages(4);
  ASSERT_NE(key_of(pages), 0u);
  std::array<int, 2> hold{};
  ASSERT_EQ(::pipe(hold.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(hold[1]);
    std::byte end{};
    ::_exit(static_cast<int>(::read(hold[0], &end, 1)));
  }
  cache_.reset();
  std::byte* const place = pages.data();
  const std::size_t bytes = pages.bytes();
  pages.disown();
  auto unmapped = std::async(std::launch::async, [=] { return ::munmap(place, bytes); });
  EXPECT_EQ(unmapped.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  ::close(hold[1]);
  ::close(hold[0]);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(RegistrationCacheRaceTest, LeavesNoDescriptorAndNoThread) {
  cache_.reset();
  const auto fds = count_own("fd");
  const auto threads = count_own("task");
  const Pages pages(1);
  start({});
  EXPECT_NE(key_of(pages), 0u);
  cache_.reset();
  EXPECT_EQ(count_own("fd"), fds);
  EXPECT_EQ(count_own("task"), threads);
  EXPECT_EQ(fabric_.counts().mrs, 0);
}

}  // namespace
}  // namespace tutti::transport::rdma
