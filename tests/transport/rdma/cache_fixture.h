// A registration cache over two rails of the fake fabric.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/pages.h"
#include "transport/rdma/rail.h"
#include "transport/rdma/registration_cache.h"

namespace tutti::transport::rdma {

class RegistrationCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    verbs_ = fabric_.verbs("n1");
    auto rails = open_rails(*verbs_, Config{});
    ASSERT_TRUE(rails.ok()) << rails.status().message();
    rails_ = std::move(rails->rails);
    start({});
    if (!cache_->off_reason().empty()) GTEST_SKIP() << cache_->off_reason();
  }
  void TearDown() override {
    cache_.reset();
    rails_.clear();
    EXPECT_EQ(fabric_.counts().objects(), 0);
  }
  void start(RegistrationCache::Limits limits) {
    cache_ = std::make_unique<RegistrationCache>(rails_, limits);
  }
  // Registers and lets go; the key tells registrations apart, 0 is none.
  std::uint32_t key_of(const void* data, std::size_t bytes) {
    const Region* region = cache_->acquire(data, bytes);
    if (region == nullptr) return 0;
    const auto begin = static_cast<const std::byte*>(region->address());
    const auto wanted = static_cast<const std::byte*>(data);
    EXPECT_LE(begin, wanted);
    EXPECT_GE(begin + region->bytes(), wanted + bytes);
    const std::uint32_t key = region->lkey(0);
    cache_->release(region);
    return key;
  }
  std::uint32_t key_of(const Pages& pages) { return key_of(pages.data(), pages.bytes()); }

  FakeFabric fabric_;
  std::unique_ptr<FakeVerbs> verbs_;
  std::vector<std::unique_ptr<Rail>> rails_;
  std::unique_ptr<RegistrationCache> cache_;
};

}  // namespace tutti::transport::rdma
