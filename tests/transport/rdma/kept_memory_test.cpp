// Memory that stays registered as long as its owner says so, found before the cache looks.
#include "transport/rdma/kept_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "transport/rdma/cache_fixture.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Runs where there is no userfaultfd too.
class KeptMemoryTest : public RegistrationCacheTest {
 protected:
  void SetUp() override {
    verbs_ = fabric_.verbs("n1");
    auto rails = open_rails(*verbs_, Config{});
    ASSERT_TRUE(rails.ok()) << rails.status().message();
    rails_ = std::move(rails->rails);
    cache_ = std::make_unique<RegistrationCache>(rails_, RegistrationCache::Limits{}, [] {
      return Result<Fd>(Status::error(Code::unavailable, "no userfaultfd here"));
    });
  }
  Status keep(const Pages& pages) { return cache_->keep(pages.data(), pages.bytes()); }
};

TEST_F(KeptMemoryTest, IsFoundWithoutAUserfaultfdUntilItIsForgotten) {
  Pages pages(4);
  EXPECT_EQ(key_of(pages), 0u);
  ASSERT_TRUE(keep(pages).ok());
  const std::uint32_t key = key_of(pages);
  EXPECT_NE(key, 0u);
  EXPECT_EQ(key_of(pages.page(1) + 5, 100), key) << "within";
  EXPECT_EQ(key_of(pages.data() - 1, 2), 0u);
  EXPECT_EQ(key_of(pages.page(3), page_bytes() + 1), 0u);
  EXPECT_EQ(key_of(pages.data() + pages.bytes() + 1, 1), 0u);
  EXPECT_EQ(fabric_.calls("reg_mr"), 2) << "once per rail";
  cache_->forget(pages.page(1));
  EXPECT_EQ(key_of(pages), key) << "nothing begins there";
  cache_->forget(pages.data());
  EXPECT_EQ(key_of(pages), 0u);
  EXPECT_EQ(fabric_.counts().mrs, 0);
}

TEST_F(KeptMemoryTest, NeighboursAreToldApart) {
  Pages pages(3);
  for (const int page : {2, 0, 1}) {
    ASSERT_TRUE(cache_->keep(pages.page(static_cast<std::size_t>(page)), page_bytes()).ok());
  }
  const std::uint32_t middle = key_of(pages.page(1), page_bytes());
  EXPECT_NE(middle, key_of(pages.page(0), page_bytes()));
  EXPECT_NE(middle, key_of(pages.page(2), page_bytes()));
  EXPECT_EQ(key_of(pages.page(0), 2 * page_bytes()), 0u) << "of two registrations";
  cache_->forget(pages.page(1));
  EXPECT_EQ(key_of(pages.page(1), 1), 0u);
  EXPECT_NE(key_of(pages.page(2), 1), 0u);
}

TEST_F(KeptMemoryTest, MayBeAFile) {
  const int file = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(file, static_cast<off_t>(page_bytes())), 0);
  void* const mapped = ::mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  ASSERT_TRUE(cache_->keep(mapped, page_bytes()).ok());
  EXPECT_NE(key_of(mapped, page_bytes()), 0u);
  cache_->forget(mapped);
  ::munmap(mapped, page_bytes());
  ::close(file);
}

TEST_F(KeptMemoryTest, ForgottenInUseIsDeregisteredWhenReleased) {
  Pages pages(1);
  ASSERT_TRUE(keep(pages).ok());
  const Region* const region = cache_->acquire(pages.data(), 1);
  ASSERT_EQ(cache_->acquire(pages.data(), 1), region);
  cache_->forget(pages.data());
  EXPECT_EQ(cache_->acquire(pages.data(), 1), nullptr);
  EXPECT_EQ(fabric_.counts().mrs, 2);
  ASSERT_TRUE(keep(pages).ok()) << "again, while the old one is in use";
  cache_->release(region);
  EXPECT_EQ(fabric_.counts().mrs, 4) << "it was acquired twice";
  cache_->release(region);
  EXPECT_EQ(fabric_.counts().mrs, 2);
  EXPECT_NE(key_of(pages), 0u);
}

TEST_F(KeptMemoryTest, ThatCannotBeRegisteredSaysWhyAndWhatToDo) {
  Pages pages(1);
  fabric_.fail("reg_mr", 2, ENOMEM);
  const Status status = keep(pages);
  EXPECT_EQ(status.code(), Code::unavailable);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("ibv_reg_mr failed on fake1 port 1"),
            HasSubstr("for memory that was allocated or registered"), HasSubstr("ulimit -l")));
  EXPECT_EQ(fabric_.counts().mrs, 0) << "not on one rail alone";
  EXPECT_EQ(key_of(pages), 0u);
}

TEST_F(KeptMemoryTest, WhoSendsAndWhoRegistersMayBeTwo) {
  Pages steady(1);
  Pages changing(1);
  ASSERT_TRUE(keep(steady).ok());
  std::thread other([&] {
    for (int i = 0; i < 2000; ++i) {
      EXPECT_TRUE(keep(changing).ok());
      cache_->forget(changing.data());
    }
  });
  const std::uint32_t key = key_of(steady);
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(key_of(steady), key);
    (void)key_of(changing);
  }
  other.join();
}

}  // namespace
}  // namespace tutti::transport::rdma
