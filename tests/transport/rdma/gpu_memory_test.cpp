#include "transport/rdma/gpu_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "transport/rdma/fake_verbs.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Host memory stands for the GPU's; what is tested is which call is made and what is said.
class GpuMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "modules-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    modules_ = name;
    open({true, true});
  }
  void TearDown() override {
    rails_.clear();
    EXPECT_EQ(fabric_->counts().objects(), 0);
    std::filesystem::remove_all(modules_);
  }
  // One rail per flag: whether it offers dma-buf.
  void open(const std::vector<bool>& dmabuf) {
    rails_.clear();
    fabric_ = std::make_unique<FakeFabric>();
    std::vector<FakeDeviceConfig> devices;
    for (std::size_t i = 0; i < dmabuf.size(); ++i) {
      devices.push_back(roce_device("fake" + std::to_string(i),
                                    ("10.0." + std::to_string(i) + ".1").c_str(),
                                    static_cast<std::uint16_t>(i)));
      devices.back().dmabuf = dmabuf[i];
    }
    verbs_ = fabric_->verbs("n1", std::move(devices));
    auto rails = open_rails(*verbs_, Config{});
    ASSERT_TRUE(rails.ok()) << rails.status().message();
    rails_ = std::move(rails->rails);
    ASSERT_EQ(rails_.size(), dmabuf.size());
  }
  void load_module(const char* name) { std::filesystem::create_directory(modules_ / name); }
  Result<std::unique_ptr<Region>> attempt(int dmabuf) {
    const GpuMemory gpu{memory_.data(), memory_.size(), dmabuf, 4096};
    return register_gpu_memory(rails_, gpu, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE,
                               modules_);
  }

  static constexpr int kDmabuf = 0;  // any open descriptor
  std::vector<std::byte> memory_ = std::vector<std::byte>(8192);
  std::filesystem::path modules_;
  std::unique_ptr<FakeFabric> fabric_;
  std::unique_ptr<FakeVerbs> verbs_;
  std::vector<std::unique_ptr<Rail>> rails_;
};

TEST_F(GpuMemoryTest, PrefersDmabuf) {
  load_module("nvidia_peermem");
  const auto region = attempt(kDmabuf);
  ASSERT_TRUE(region.ok()) << region.status().message();
  EXPECT_EQ((*region)->address(), memory_.data());
  EXPECT_EQ((*region)->bytes(), memory_.size());
  EXPECT_NE((*region)->rkey(0), (*region)->rkey(1));
  EXPECT_EQ(fabric_->calls("reg_dmabuf_mr"), 2);
  EXPECT_EQ(fabric_->calls("reg_mr"), 0);
}

TEST_F(GpuMemoryTest, TakesPeerMemoryWithoutADescriptor) {
  for (const char* name : {"nvidia_peermem", "nv_peer_mem"}) {
    load_module(name);
    const auto region = attempt(-1);
    ASSERT_TRUE(region.ok()) << region.status().message();
    std::filesystem::remove(modules_ / name);
  }
  EXPECT_EQ(fabric_->calls("reg_dmabuf_mr"), 0);
  EXPECT_EQ(fabric_->calls("reg_mr"), 4);
}

TEST_F(GpuMemoryTest, TakesPeerMemoryWhereDmabufIsNotSupported) {
  load_module("nvidia_peermem");
  for (const int number : {EOPNOTSUPP, EINVAL, 524}) {
    fabric_->fail("reg_dmabuf_mr", 0, number);
    const auto region = attempt(kDmabuf);
    ASSERT_TRUE(region.ok()) << region.status().message();
    fabric_->fail_no_more();
  }
  EXPECT_EQ(fabric_->calls("reg_mr"), 6);
}

TEST_F(GpuMemoryTest, EachRailTakesItsOwnWay) {
  open({true, false});
  load_module("nvidia_peermem");
  const auto region = attempt(kDmabuf);
  ASSERT_TRUE(region.ok()) << region.status().message();
  EXPECT_EQ(fabric_->calls("reg_dmabuf_mr"), 2);
  EXPECT_EQ(fabric_->calls("reg_mr"), 1);
}

TEST_F(GpuMemoryTest, NeitherWayNamesBothRemedies) {
  open({true, false});
  const auto unsupported = attempt(kDmabuf);
  ASSERT_FALSE(unsupported.ok());
  EXPECT_EQ(unsupported.status().code(), Code::unavailable);
  EXPECT_THAT(unsupported.status().message(),
              AllOf(HasSubstr("GPU memory cannot be registered on fake1 port 1"),
                    HasSubstr("dma-buf is not supported there (Operation not supported"),
                    HasSubstr("Linux 5.12, rdma-core 34"), HasSubstr("`modprobe nvidia-peermem`")));
  EXPECT_EQ(fabric_->counts().mrs, 0) << "the first rail's is given back";

  const auto none = attempt(-1);
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.status().message(),
              AllOf(HasSubstr("on fake0 port 1"), HasSubstr("gave no dma-buf descriptor for it"),
                    HasSubstr("`modprobe nvidia-peermem`")));

  fabric_->fail("reg_dmabuf_mr", 1, 524);
  const auto kernel = attempt(kDmabuf);
  ASSERT_FALSE(kernel.ok());
  EXPECT_THAT(kernel.status().message(), HasSubstr("dma-buf is not supported there (errno 524)"));
}

TEST_F(GpuMemoryTest, OtherFailuresAreTold) {
  load_module("nvidia_peermem");
  fabric_->fail("reg_dmabuf_mr", 1, EBADF);
  const auto dmabuf = attempt(kDmabuf);
  ASSERT_FALSE(dmabuf.ok());
  EXPECT_THAT(dmabuf.status().message(),
              AllOf(HasSubstr("ibv_reg_dmabuf_mr failed on fake0 port 1"),
                    HasSubstr("for GPU memory: Bad file descriptor (errno 9)")));
  EXPECT_EQ(fabric_->calls("reg_mr"), 0);

  fabric_->fail("reg_mr", 2, EFAULT);
  const auto peer = attempt(-1);
  ASSERT_FALSE(peer.ok());
  EXPECT_THAT(peer.status().message(),
              AllOf(HasSubstr("ibv_reg_mr failed on fake1 port 1"),
                    HasSubstr("for GPU memory, by peer memory: Bad address (errno 14)")));
  EXPECT_EQ(fabric_->counts().mrs, 0);
}

}  // namespace
}  // namespace tutti::transport::rdma
