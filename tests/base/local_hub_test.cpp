#include "base/local_hub.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <thread>
#include <vector>

namespace tutti {
namespace {

TEST(LocalHub, OneKeyOneObject) {
  LocalHub hub;
  const auto first = hub.get_or_create<int>("a", [] { return std::make_shared<int>(1); });
  const auto again = hub.get_or_create<int>("a", [] { return std::make_shared<int>(2); });
  const auto other = hub.get_or_create<int>("b", [] { return std::make_shared<int>(3); });
  EXPECT_EQ(first, again);
  EXPECT_EQ(*again, 1);
  EXPECT_EQ(*other, 3);
}

TEST(LocalHub, EraseForgetsButHoldersKeep) {
  LocalHub hub;
  const auto held = hub.get_or_create<int>("a", [] { return std::make_shared<int>(1); });
  EXPECT_TRUE(hub.erase("a"));
  EXPECT_FALSE(hub.erase("a"));
  EXPECT_EQ(*held, 1);
  EXPECT_EQ(*hub.get_or_create<int>("a", [] { return std::make_shared<int>(2); }), 2);
}

TEST(LocalHub, HubsAreSeparate) {
  LocalHub a;
  LocalHub b;
  EXPECT_NE(a.get_or_create<int>("k", [] { return std::make_shared<int>(1); }),
            b.get_or_create<int>("k", [] { return std::make_shared<int>(1); }));
}

// A destructor that comes back to the hub must not meet its lock.
TEST(LocalHub, EraseDestroysOutsideTheLock) {
  struct Cleaner {
    LocalHub* hub;
    explicit Cleaner(LocalHub* of) : hub(of) {}
    ~Cleaner() { hub->erase("other"); }
  };
  LocalHub hub;
  (void)hub.get_or_create<int>("other", [] { return std::make_shared<int>(1); });
  (void)hub.get_or_create<Cleaner>("cleaner", [&] { return std::make_shared<Cleaner>(&hub); });
  EXPECT_TRUE(hub.erase("cleaner"));
  EXPECT_FALSE(hub.erase("other"));
}

TEST(LocalHub, ManyThreadsMakeItOnce) {
  constexpr int kThreads = 8;
  LocalHub hub;
  std::atomic<int> made = 0;
  std::barrier start(kThreads);
  std::vector<std::shared_ptr<int>> got(kThreads);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        got[i] = hub.get_or_create<int>("k", [&] { return std::make_shared<int>(++made); });
      });
    }
  }
  EXPECT_EQ(made, 1);
  for (const auto& one : got) EXPECT_EQ(one, got[0]);
}

}  // namespace
}  // namespace tutti
