#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tutti/bootstrap.h"

namespace tutti {
namespace {

using testing::HasSubstr;

Config config_with(std::int64_t timeout_ms) {
  Config config;
  config.connect_timeout_ms = timeout_ms;
  return config;
}

std::span<const std::byte> bytes_of(const int& value) {
  return std::as_bytes(std::span(&value, 1));
}

TEST(InProcess, ManyRoundsWithManyRanks) {
  for (const int size : {1, 2, 3, 8}) {
    auto ranks = bootstrap_in_process(size, config_with(60'000));
    ASSERT_EQ(ranks.size(), static_cast<std::size_t>(size));
    std::vector<std::jthread> threads;
    for (auto& rank : ranks) {
      threads.emplace_back([&, size] {
        std::vector<int> all(static_cast<std::size_t>(size));
        for (int round = 0; round < 200; ++round) {
          const int mine = round * 1000 + rank->rank();
          const Status status =
              rank->all_gather(bytes_of(mine), std::as_writable_bytes(std::span(all)));
          ASSERT_TRUE(status.ok()) << status.message();
          for (int i = 0; i < size; ++i)
            ASSERT_EQ(all[static_cast<std::size_t>(i)], round * 1000 + i);
        }
        rank.reset();  // leaving while others still copy the last round is in order
      });
    }
  }
}

TEST(InProcess, AllRanksShareOneHub) {
  const auto a = bootstrap_in_process(2);
  const auto b = bootstrap_in_process(2);
  ASSERT_NE(a[0]->local_hub(), nullptr);
  EXPECT_EQ(a[0]->local_hub(), a[1]->local_hub());
  EXPECT_NE(a[0]->local_hub(), b[0]->local_hub());
}

TEST(InProcess, MissingRanksAreNamedAndTheFailureStays) {
  auto ranks = bootstrap_in_process(3, config_with(20));
  const int mine = 0;
  std::vector<int> all(3);
  const auto gather = [&](int rank) {
    return ranks[static_cast<std::size_t>(rank)]->all_gather(
        bytes_of(mine), std::as_writable_bytes(std::span(all)));
  };
  const Status status = gather(1);
  EXPECT_EQ(status.code(), Code::timed_out);
  EXPECT_EQ(status.failed_rank(), 0);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("1 of 3 ranks of this process took part within 20 ms; missing: 0, 2;"));
  EXPECT_EQ(gather(0).message(), status.message());
}

TEST(InProcess, ARankThatLeavesFailsThoseWhoWait) {
  auto ranks = bootstrap_in_process(2, config_with(60'000));
  const int mine = 0;
  std::vector<int> all(2);
  std::jthread leaver([&] { ranks[1].reset(); });
  const Status status =
      ranks[0]->all_gather(bytes_of(mine), std::as_writable_bytes(std::span(all)));
  EXPECT_EQ(status.code(), Code::peer_failed);
  EXPECT_EQ(status.failed_rank(), 1);
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank 1 of this process closed"));
}

TEST(InProcess, DifferentSizesNameBothRanks) {
  auto ranks = bootstrap_in_process(2, config_with(60'000));
  const auto gather = [&](std::size_t rank, std::size_t bytes) {
    const std::vector<std::byte> mine(bytes);
    std::vector<std::byte> all(bytes * 2);
    return ranks[rank]->all_gather(mine, all);
  };
  Status zero;
  std::jthread thread([&] { zero = gather(0, 8); });
  const Status one = gather(1, 16);
  thread.join();
  for (const Status& status : {zero, one}) {
    EXPECT_EQ(status.code(), Code::mismatch);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("rank 1 passed 16 bytes, rank 0 passed 8"));
  }
}

}  // namespace
}  // namespace tutti
