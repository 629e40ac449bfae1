// The buffers that measurements use: windows, alignment and guards.
#include "common/buffers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace tutti::perf {
namespace {

std::uintptr_t address(std::span<std::byte> window) {
  return reinterpret_cast<std::uintptr_t>(window.data());
}

Buffers buffers(std::int64_t max_bytes, std::int64_t offset_bytes) {
  auto created = Buffers::create(max_bytes, offset_bytes);
  EXPECT_TRUE(created.ok());
  return std::move(created).value();
}

TEST(Buffers, WindowsFollowEachOtherWithinTheRoom) {
  Buffers all = buffers(1000, 0);
  const auto first = all.send(0, 100);
  EXPECT_EQ(address(first) % 64, 0u);
  EXPECT_EQ(address(all.send(1, 100)) - address(first), 128u);
  EXPECT_EQ(address(all.send(8, 100)), address(first));  // 1024 bytes hold 8 windows
  EXPECT_EQ(all.send(7, 100).size(), 100u);
  EXPECT_EQ(address(all.recv(5, 1000)), address(all.recv(0, 1000)));
}

TEST(Buffers, EveryWindowLiesInside) {
  for (const std::int64_t bytes : {1, 63, 64, 65, 4096, 5000}) {
    Buffers all = buffers(5000, 12);
    const auto whole = all.whole_recv();
    for (std::int64_t i = 0; i < 100; ++i) {
      const auto window = all.recv(i, bytes);
      EXPECT_GE(window.data(), whole.data() + 64);
      EXPECT_LE(window.data() + window.size() + 64, whole.data() + whole.size());
      EXPECT_EQ(address(window) % 64, 12u);
    }
  }
}

TEST(Buffers, MayBeEmpty) {
  Buffers all = buffers(0, 0);
  EXPECT_TRUE(all.send(3, 0).empty());
  all.poison(0);
  EXPECT_EQ(all.damaged_guard_bytes(0), 0);
}

TEST(Buffers, GuardsShowWhatWasWrittenOutside) {
  Buffers all = buffers(100, 4);
  all.poison(100);
  const auto window = all.recv(0, 100);
  std::ranges::fill(window, std::byte{1});
  EXPECT_EQ(all.damaged_guard_bytes(100), 0);
  window.data()[-1] = std::byte{1};
  window.data()[100] = std::byte{1};
  window.data()[163] = std::byte{1};
  EXPECT_EQ(all.damaged_guard_bytes(100), 3);
}

TEST(Buffers, ComeFromWhereTheyAreTold) {
  int given_back = 0;
  std::vector<std::byte> memory(3 * 8192);
  std::byte* next = memory.data();
  {
    auto all = Buffers::create(100, 0, [&](std::size_t bytes) -> Result<Buffers::Memory> {
      EXPECT_LE(bytes, 8192u);
      return Buffers::Memory(std::exchange(next, next + 8192), [&](auto) { ++given_back; });
    });
    ASSERT_TRUE(all.ok());
    EXPECT_EQ(all->whole_send().data(), memory.data());
    EXPECT_EQ(all->whole_recv().data(), memory.data() + 8192);
  }
  EXPECT_EQ(given_back, 2);
}

TEST(Buffers, ThatTheirSourceDoesNotHaveSayWhy) {
  int left = 1;
  const auto created = Buffers::create(100, 0, [&](std::size_t bytes) -> Result<Buffers::Memory> {
    if (left-- > 0) return Buffers::private_memory(bytes);
    return Status::error(Code::unavailable, "none is left");
  });
  EXPECT_EQ(created.status().code(), Code::unavailable);
  EXPECT_EQ(created.status().message(),
            "cannot have two buffers of 4096 bytes: none is left; give a smaller --maxbytes");
}

TEST(Buffers, ThatDoNotFitSaySo) {
#ifdef TUTTI_SANITIZE
  GTEST_SKIP() << "sanitizers end the process instead of returning null";
#else
  const auto created = Buffers::create(std::int64_t{1} << 60, 0);
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.status().code(), Code::unavailable);
  EXPECT_NE(created.status().message().find("give a smaller --maxbytes"), std::string_view::npos);
#endif
}

}  // namespace
}  // namespace tutti::perf
