// Registering the caller's memory: what is refused, in whose name, and how long it lasts. That RDMA
// sends from it is in rdma_plans_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/world.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

RegisteredMemory registered(Communicator& c, const std::vector<float>& data) {
  auto memory = c.register_memory(data.data(), data.size() * sizeof(float));
  EXPECT_TRUE(memory.ok()) << memory.status().message();
  return *std::move(memory);
}

TEST(RegisterMemory, ResultsAreTheSame) {
  for (const int ranks : {1, 2, 3}) {
    run_threads(ranks, quick_config(), [](Communicator& c) {
      std::vector<float> data(100'000, static_cast<float>(c.rank() + 1));
      const RegisteredMemory memory = registered(c, data);
      EXPECT_EQ(memory.data(), data.data());
      EXPECT_EQ(memory.bytes(), 400'000U);
      EXPECT_TRUE(
          c.all_reduce(data.data(), data.data(), 100'000, DataType::float32, ReduceOp::sum).ok());
      const auto n = static_cast<float>(c.size());
      EXPECT_EQ(data, std::vector<float>(data.size(), n * (n + 1) / 2));
    });
  }
}

TEST(RegisterMemory, WhatIsRefusedNamesTheRankAndIsNotFinal) {
  run_threads(2, quick_config(), [](Communicator& c) {
    const std::string who = "rank " + std::to_string(c.rank()) + " (host ";
    const auto null = c.register_memory(nullptr, 8);
    EXPECT_EQ(null.status().code(), Code::invalid_argument);
    EXPECT_THAT(std::string(null.status().message()),
                AllOf(StartsWith(who),
                      HasSubstr("): register_memory: the data is null; pass the first of the 8 "
                                "bytes")));
    std::vector<float> data(1000);
    const RegisteredMemory memory = registered(c, data);
    const auto again = c.register_memory(data.data() + 999, 4);
    EXPECT_EQ(again.status().code(), Code::invalid_argument);
    EXPECT_THAT(std::string(again.status().message()),
                AllOf(StartsWith(who), HasSubstr(" overlap 4000 bytes at "),
                      HasSubstr("registered already")));
    const auto allocated = c.allocate(100);
    ASSERT_TRUE(allocated.ok());
    const auto own = c.register_memory(allocated->data(), 100);
    EXPECT_EQ(own.status().code(), Code::invalid_argument);
    EXPECT_THAT(std::string(own.status().message()), HasSubstr("that the communicator allocated"));
    EXPECT_TRUE(c.barrier().ok());
  });
}

TEST(RegisterMemory, EndsWithItsOwner) {
  run_threads(2, quick_config(), [](Communicator& c) {
    std::vector<float> data(1000);
    RegisteredMemory memory = registered(c, data);
    RegisteredMemory moved = std::move(memory);
    EXPECT_EQ(memory.data(), nullptr);  // NOLINT(bugprone-use-after-move): it is nothing now
    EXPECT_EQ(memory.bytes(), 0U);
    EXPECT_FALSE(c.register_memory(data.data(), 8).ok()) << "moved, not ended";
    moved = {};
    const RegisteredMemory again = registered(c, data);
    const auto nothing = c.register_memory(nullptr, 0);
    ASSERT_TRUE(nothing.ok());
    EXPECT_EQ(nothing->bytes(), 0U);
  });
}

TEST(RegisterMemory, OfOneCommunicatorIsNothingToAnother) {
  run_threads(2, quick_config(), [](Communicator& c) {
    auto other = c.duplicate();
    ASSERT_TRUE(other.ok());
    std::vector<float> data(1000);
    const RegisteredMemory here = registered(c, data);
    const RegisteredMemory there = registered(*other, data);
  });
}

TEST(RegisterMemory, MayOutliveTheCommunicator) {
  std::vector<float> data(1000);
  std::vector<RegisteredMemory> kept(2);
  run_threads(2, quick_config(), [&](Communicator& c) {
    kept[static_cast<std::size_t>(c.rank())] = registered(c, data);
  });
  EXPECT_EQ(kept[1].data(), data.data());
}

TEST(RegisterMemory, AfterAFailureIsThatFailure) {
  run_threads(1, quick_config(), [](Communicator& c) {
    c.abort();
    const std::vector<float> data(10);
    const auto refused = c.register_memory(data.data(), 40);
    EXPECT_EQ(refused.status().code(), Code::aborted);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("aborted the communicator"));
  });
}

}  // namespace
}  // namespace tutti::test
