#include "transport/rdma/region.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/rail.h"

namespace tutti::transport::rdma {
namespace {

using testing::HasSubstr;

class RegionTest : public testing::Test {
 protected:
  void SetUp() override {
    verbs_ = fabric_.verbs("n1");
    auto rails = open_rails(*verbs_, Config{});
    ASSERT_TRUE(rails.ok()) << rails.status().message();
    rails_ = std::move(rails->rails);
    ASSERT_EQ(rails_.size(), 2u);
  }
  void TearDown() override {
    rails_.clear();
    EXPECT_EQ(fabric_.counts().objects(), 0);
  }

  FakeFabric fabric_;
  std::unique_ptr<FakeVerbs> verbs_;
  std::vector<std::unique_ptr<Rail>> rails_;
};

TEST_F(RegionTest, IsRegisteredOnEveryRail) {
  std::vector<std::byte> memory(10000);
  {
    const auto region = Region::create(rails_, memory.data(), memory.size(), 0);
    ASSERT_TRUE(region.ok()) << region.status().message();
    EXPECT_EQ((*region)->address(), memory.data());
    EXPECT_EQ((*region)->bytes(), memory.size());
    EXPECT_EQ(fabric_.counts().mrs, 2);
    EXPECT_NE((*region)->lkey(0), (*region)->lkey(1));
    EXPECT_NE((*region)->rkey(0), (*region)->rkey(1));
  }
  EXPECT_EQ(fabric_.counts().mrs, 0);
}

TEST_F(RegionTest, FailureOnOneRailGivesTheOthersBackAndSaysWhich) {
  std::vector<std::byte> memory(4096);
  fabric_.fail("reg_mr", 2, EFAULT);
  const auto region = Region::create(rails_, memory.data(), memory.size(), 0, "for rank 3");
  ASSERT_FALSE(region.ok());
  EXPECT_EQ(region.status().code(), Code::unavailable);
  EXPECT_THAT(region.status().message(), HasSubstr("ibv_reg_mr failed on fake1 port 1"));
  EXPECT_THAT(region.status().message(), HasSubstr("for rank 3: Bad address (errno 14)"));
  EXPECT_EQ(fabric_.counts().mrs, 0);
}

TEST_F(RegionTest, TakesOverRegistrations) {
  std::vector<std::byte> memory(4096);
  const auto region = Region::adopt(rails_, memory.data(), memory.size());
  std::vector<std::uint32_t> keys;
  for (const auto& rail : rails_) {
    ibv_mr* registration = verbs_->reg_mr(rail->pd(), memory.data(), memory.size(), 0);
    keys.push_back(registration->rkey);
    region->add(registration);
  }
  EXPECT_EQ(region->rkey(0), keys[0]);
  EXPECT_EQ(region->rkey(1), keys[1]);
}

TEST_F(RegionTest, OwnedMemoryIsWholeZeroedPages) {
  const auto region =
      OwnedRegion::create(rails_, 5000, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
  ASSERT_TRUE(region.ok()) << region.status().message();
  const OwnedRegion& memory = **region;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  EXPECT_EQ(memory.bytes(), (5000 + page - 1) / page * page);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % page, 0u);
  EXPECT_TRUE(std::all_of(memory.data(), memory.data() + memory.bytes(),
                          [](std::byte one) { return one == std::byte{0}; }));
  EXPECT_EQ(memory.lkey(1), memory.region().lkey(1));
  EXPECT_EQ(memory.rkey(0), memory.region().rkey(0));
}

TEST_F(RegionTest, OwnedMemoryIsNotAChilds) {
  const auto region = OwnedRegion::create(rails_, 1, IBV_ACCESS_LOCAL_WRITE);
  ASSERT_TRUE(region.ok()) << region.status().message();
  const pid_t child = ::fork();
  if (child == 0) {
    // A page that is not mapped is no argument to a system call.
    int ends[2];
    const bool gone = ::pipe(ends) == 0 && ::write(ends[1], (*region)->data(), 1) == -1;
    ::_exit(gone && errno == EFAULT ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(RegionTest, OwnedMemoryThatCannotBeHadSaysSo) {
  const auto huge = OwnedRegion::create(rails_, std::size_t{1} << 62, 0, "for rank 3");
  ASSERT_FALSE(huge.ok());
  EXPECT_EQ(huge.status().code(), Code::unavailable);
  EXPECT_THAT(huge.status().message(),
              HasSubstr("memory for RDMA for rank 3 cannot be mapped: Cannot allocate memory"));
  fabric_.fail("reg_mr", 1, EIO);
  const auto refused = OwnedRegion::create(rails_, 4096, 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr("fake0"));
}

}  // namespace
}  // namespace tutti::transport::rdma
