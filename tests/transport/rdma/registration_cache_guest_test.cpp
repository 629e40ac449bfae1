// The cache on devices that are really there: what arrives is what the memory holds when it is
// sent, whatever became of the pages that it had before. Skipped where there is no RDMA device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/deadline.h"
#include "transport/pattern.h"
#include "transport/rdma/pages.h"
#include "transport/rdma/queue_pair.h"
#include "transport/rdma/rail.h"
#include "transport/rdma/registration_cache.h"
#include "transport/segment.h"

namespace tutti::transport::rdma {
namespace {

constexpr std::size_t kPages = 16;

// Two queue pairs of one rail, joined, and memory that the first writes to.
class RegistrationCacheOnDevices : public testing::Test {
 protected:
  void SetUp() override {
    auto verbs = load_verbs();
    if (!verbs.ok()) GTEST_SKIP() << verbs.status().message();
    verbs_ = *std::move(verbs);
    auto rails = open_rails(*verbs_, Config{});
    ASSERT_TRUE(rails.ok()) << rails.status().message();
    if (rails->rails.empty()) GTEST_SKIP() << rails->reason;
    rails_ = std::move(rails->rails);
    cache_ = std::make_unique<RegistrationCache>(rails_);
    if (!cache_->off_reason().empty()) GTEST_SKIP() << cache_->off_reason();
    auto target = OwnedRegion::create(rails_, kPages * page_bytes(),
                                      IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    ASSERT_TRUE(target.ok()) << target.status().message();
    target_ = *std::move(target);
    for (std::uint32_t i = 0; i < 2; ++i) {
      auto pair = QueuePair::create(*rails_[0], i, {16, 16});
      ASSERT_TRUE(pair.ok()) << pair.status().message();
      pairs_[i] = *std::move(pair);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      const QueuePair& other = *pairs_[1 - i];
      const RemoteQueuePair remote{rails_[0]->address(), other.number(), other.psn(), 0, 0};
      const Status up = pairs_[i]->bring_up(remote, Tuning{});
      ASSERT_TRUE(up.ok()) << up.message();
    }
  }
  void TearDown() override {
    pairs_ = {};
    target_.reset();
    cache_.reset();
  }

  // Whether the device sends what `bytes` hold now; out of the memory itself, by the cache.
  void expect_sent(std::span<const std::byte> bytes, std::uint64_t key) {
    const Region* region = cache_->acquire(bytes.data(), bytes.size());
    ASSERT_NE(region, nullptr) << cache_->off_reason();
    std::memset(target_->data(), 0, target_->bytes());
    ibv_sge from{reinterpret_cast<std::uint64_t>(bytes.data()),
                 static_cast<std::uint32_t>(bytes.size()), region->lkey(0)};
    ibv_send_wr work{};
    work.sg_list = &from;
    work.num_sge = 1;
    work.opcode = IBV_WR_RDMA_WRITE;
    work.wr.rdma.remote_addr = reinterpret_cast<std::uint64_t>(target_->data());
    work.wr.rdma.rkey = target_->rkey(0);
    ASSERT_EQ(pairs_[0]->post(work, true), 0);
    ibv_wc completion{};
    const Deadline deadline = Deadline::after_ms(20'000);
    while (verbs_->poll_cq(rails_[0]->cq(), 1, &completion) == 0 && !deadline.passed()) {
    }
    ASSERT_FALSE(deadline.passed());
    ASSERT_EQ(completion.status, IBV_WC_SUCCESS);
    pairs_[0]->retire(WorkId::decode(completion.wr_id).count);
    cache_->release(region);
    EXPECT_EQ(find_damage({target_->data(), bytes.size()}, key), -1);
  }
  void expect_sent(const Pages& pages, std::uint64_t key) {
    expect_sent(std::span(pages.data(), pages.bytes()), key);
  }
  static void fill(const Pages& pages, std::uint64_t key) {
    fill_pattern({pages.data(), pages.bytes()}, key);
  }

  std::unique_ptr<Verbs> verbs_;
  std::vector<std::unique_ptr<Rail>> rails_;
  std::unique_ptr<RegistrationCache> cache_;
  std::unique_ptr<OwnedRegion> target_;
  std::array<std::unique_ptr<QueuePair>, 2> pairs_;
};

TEST_F(RegistrationCacheOnDevices, SendsWhatIsThereNow) {
  Pages pages(kPages);
  fill(pages, 1);
  expect_sent(pages, 1);
  fill(pages, 2);
  expect_sent(pages, 2);
  EXPECT_EQ(cache_->counts().hits, 1u);
  pages.renew();
  fill(pages, 3);
  expect_sent(pages, 3);
  ASSERT_EQ(::madvise(pages.data(), pages.bytes(), MADV_DONTNEED), 0);
  fill(pages, 4);
  expect_sent(pages, 4);
  EXPECT_EQ(cache_->counts().registrations, 3u);
}

TEST_F(RegistrationCacheOnDevices, PagesThatWereOnlyReadAreNotTheZeroPage) {
  const Pages pages(kPages);
  ASSERT_EQ(::madvise(pages.data(), pages.bytes(), MADV_DONTNEED), 0);
  std::vector<std::byte> zeros(pages.bytes());
  ASSERT_EQ(std::memcmp(pages.data(), zeros.data(), zeros.size()), 0);  // maps the zero page
  const Region* region = cache_->acquire(pages.data(), pages.bytes());
  ASSERT_NE(region, nullptr);
  cache_->release(region);
  fill(pages, 5);
  expect_sent(pages, 5);
  EXPECT_EQ(cache_->counts().registrations, 1u);
}

// What Communicator::allocate() gives: a device that only reads may have it.
TEST_F(RegistrationCacheOnDevices, SendsFromAMemoryFileThatIsKept) {
  const std::size_t bytes = kPages * page_bytes();
  auto file = make_memory_file(bytes);
  ASSERT_TRUE(file.ok()) << file.status().message();
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const std::span memory(static_cast<std::byte*>(mapped), bytes);
  fill_pattern(memory, 8);
  EXPECT_EQ(cache_->acquire(memory.data(), bytes), nullptr) << "it is a file, and nobody's";
  const Status kept = cache_->keep(memory.data(), bytes);
  ASSERT_TRUE(kept.ok()) << kept.message();
  expect_sent(memory, 8);
  fill_pattern(memory, 9);
  expect_sent(memory, 9);
  cache_->forget(memory.data());
  ASSERT_EQ(::munmap(mapped, bytes), 0);
}

// After fork() pages are shared until somebody writes; registered ones must stay the parent's.
TEST_F(RegistrationCacheOnDevices, SendsTheParentsPagesAfterAFork) {
  const Pages pages(kPages);
  fill(pages, 6);
  expect_sent(pages, 6);
  std::array<int, 2> hold{};
  ASSERT_EQ(::pipe(hold.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(hold[1]);
    std::byte end{};
    ::_exit(static_cast<int>(::read(hold[0], &end, 1)));
  }
  fill(pages, 7);
  expect_sent(pages, 7);
  EXPECT_EQ(cache_->counts().registrations, 1u);
  ::close(hold[1]);
  ::close(hold[0]);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
}

TEST_F(RegistrationCacheOnDevices, ReadOnlyMemoryCanBeSent) {
  const Pages pages(kPages);
  fill(pages, 8);
  ASSERT_EQ(::mprotect(pages.data(), pages.bytes(), PROT_READ), 0);
  expect_sent(pages, 8);
  ASSERT_EQ(::mprotect(pages.data(), pages.bytes(), PROT_READ | PROT_WRITE), 0);
  fill(pages, 9);
  expect_sent(pages, 9);
}

}  // namespace
}  // namespace tutti::transport::rdma
