// Every kernel against the reference: types, operators, counts, addresses, aliases, instruction
// sets.
#include "device/reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "device/instruction_sets.h"
#include "device/kernel_calls.h"
#include "device/reduce_reference.h"
#include "support/values.h"

namespace tutti::test {
namespace {

using device::Kernels;
using device::Store;

constexpr std::size_t kLargestCount = 4097;
constexpr int kRanks = 7;

std::vector<std::size_t> counts() {
  std::vector<std::size_t> result(71);
  std::iota(result.begin(), result.end(), 0);
  for (const std::size_t count : {127u, 128u, 129u, 255u, 256u, 257u, 1000u, 4097u}) {
    result.push_back(count);
  }
  return result;
}

class ReduceTest : public testing::TestWithParam<DataType> {
 protected:
  static void SetUpTestSuite() { seed_ = test_seed(); }
  static inline std::uint64_t seed_ = 0;

  std::vector<Bytes> random_sources(std::size_t sources, std::size_t count) {
    std::vector<Bytes> result;
    for (std::size_t k = 0; k < sources; ++k) {
      result.push_back(random_elements(GetParam(), count, random_));
    }
    return result;
  }
  const Kernels& kernels_of(const InstructionSet& set, ReduceOp op) {
    return set.table[static_cast<std::size_t>(GetParam())][static_cast<std::size_t>(op)];
  }

  std::mt19937_64 random_{seed_};
  const std::vector<InstructionSet> sets_ = instruction_sets();
};

TEST_P(ReduceTest, TwoSourcesGiveTheReferenceBits) {
  const std::size_t size = size_of(GetParam());
  const std::vector<Bytes> contents = random_sources(2, kLargestCount);
  for (const ReduceOp op : operators_of(GetParam())) {
    const Bytes undivided = reference_reduce(GetParam(), op, contents, Finish::none, kRanks);
    const Bytes divided = reference_reduce(GetParam(), op, contents, Finish::final, kRanks);
    for (const InstructionSet& set : sets_) {
      const Kernels& kernels = kernels_of(set, op);
      for (const std::size_t count : counts()) {
        for (const Call& call : calls_of(count, size)) {
          ASSERT_TRUE(agrees(call, size, contents, undivided,
                             [&](void* dst, const auto& sources) {
                               kernels.reduce(dst, sources[0], sources[1], count, call.store);
                             }))
              << "reduce " << name(op) << " on " << set.name << ", " << text_of(call);
          ASSERT_TRUE(agrees(call, size, contents, divided,
                             [&](void* dst, const auto& sources) {
                               kernels.reduce_final(dst, sources[0], sources[1], count, kRanks,
                                                    call.store);
                             }))
              << "reduce_final " << name(op) << " on " << set.name << ", " << text_of(call);
        }
      }
    }
  }
}

TEST_P(ReduceTest, ManySourcesRoundOnce) {
  const std::size_t size = size_of(GetParam());
  for (const std::size_t source_count : {1u, 2u, 3u, 4u, 5u, 8u, 17u}) {
    const std::vector<Bytes> contents = random_sources(source_count, 300);
    for (const ReduceOp op : operators_of(GetParam())) {
      const Bytes expected = reference_reduce(GetParam(), op, contents, Finish::final, kRanks);
      for (const InstructionSet& set : sets_) {
        const Kernels& kernels = kernels_of(set, op);
        for (const std::size_t count :
             {0u, 1u, 2u, 3u, 5u, 15u, 16u, 17u, 63u, 64u, 65u, 100u, 300u}) {
          for (const Call& call : calls_of(count, size)) {
            ASSERT_TRUE(agrees(call, size, contents, expected,
                               [&](void* dst, const auto& sources) {
                                 kernels.reduce_many(dst, sources.data(),
                                                     static_cast<int>(source_count), count, kRanks,
                                                     call.store);
                               }))
                << source_count << " sources, " << name(op) << " on " << set.name << ", "
                << text_of(call);
          }
        }
      }
    }
  }
}

TEST_P(ReduceTest, ResultsGoToTwoPlaces) {
  const std::size_t size = size_of(GetParam());
  for (const std::size_t source_count : {1u, 2u, 3u}) {
    const std::vector<Bytes> contents = random_sources(source_count, 300);
    for (const ReduceOp op : operators_of(GetParam())) {
      const Bytes expected = reference_reduce(GetParam(), op, contents, Finish::final, kRanks);
      for (const InstructionSet& set : sets_) {
        const Kernels& kernels = kernels_of(set, op);
        for (const std::size_t count : {0u, 1u, 3u, 16u, 17u, 63u, 64u, 65u, 100u, 300u}) {
          for (const std::size_t misalignment : {std::size_t{0}, std::size_t{1}, size, 3 * size}) {
            const std::size_t bytes = count * size;
            const std::span<const std::byte> first(expected.data(), bytes);
            Buffer copy(Bytes(bytes, std::byte{0x5a}), bytes, misalignment);
            const Call call{count, {size, 0, 1}, Alias::none, Store::cached};
            ASSERT_TRUE(
                agrees(call, size, contents, expected,
                       [&](void* dst, const auto& sources) {
                         kernels.reduce_many_twice(dst, copy.data(), sources.data(),
                                                   static_cast<int>(source_count), count, kRanks);
                       }) &&
                std::ranges::equal(std::span(copy.data(), bytes), first) && copy.guard_is_intact())
                << source_count << " sources, " << name(op) << " on " << set.name << ", "
                << text_of(call) << ", the copy's misalignment " << misalignment;
          }
        }
      }
    }
  }
}

TEST_P(ReduceTest, AveragesDivideByAnyNumberOfRanks) {
  const std::vector<Bytes> contents = random_sources(2, 1000);
  for (const int ranks : {1,         2,     3,     5,       6,
                          7,         8,     10,    100,     127,
                          128,       129,   200,   255,     256,
                          257,       300,   1000,  32767,   32768,
                          65535,     65536, 65537, 1 << 24, (1 << 24) + 1,
                          0x7fffffff}) {
    const Bytes expected =
        reference_reduce(GetParam(), ReduceOp::average, contents, Finish::final, ranks);
    for (const InstructionSet& set : sets_) {
      const Kernels& kernels = kernels_of(set, ReduceOp::average);
      Bytes result(expected.size());
      kernels.reduce_final(result.data(), contents[0].data(), contents[1].data(), 1000, ranks,
                           Store::cached);
      ASSERT_EQ(result, expected) << ranks << " ranks on " << set.name;
    }
  }
}

TEST_P(ReduceTest, NoOperatorDependsOnOperandOrder) {
  const std::vector<Bytes> contents = random_sources(2, 1000);
  for (const ReduceOp op : operators_of(GetParam())) {
    for (const InstructionSet& set : sets_) {
      Bytes forwards(contents[0].size());
      Bytes backwards(contents[0].size());
      const Kernels& kernels = kernels_of(set, op);
      const void* a = contents[0].data();
      const void* b = contents[1].data();
      kernels.reduce(forwards.data(), a, b, 1000, Store::cached);
      kernels.reduce(backwards.data(), b, a, 1000, Store::cached);
      ASSERT_EQ(forwards, backwards) << name(op) << " on " << set.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, ReduceTest, testing::ValuesIn(all_types()),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST(Kernels, AreResolvedOnceForTheBestInstructionSet) {
  const std::vector<InstructionSet> sets = instruction_sets();
  EXPECT_EQ(device::simd_target(), sets.front().name);
  for (const DataType type : all_types()) {
    for (const ReduceOp op : operators_of(type)) {
      const Kernels& kernels = device::kernels(type, op);
      EXPECT_EQ(&kernels, &device::kernels(type, op));
      const auto& best = sets.front().table[static_cast<std::size_t>(type)];
      EXPECT_EQ(kernels.reduce, best[static_cast<std::size_t>(op)].reduce);
      EXPECT_EQ(kernels.reduce_final, best[static_cast<std::size_t>(op)].reduce_final);
      EXPECT_EQ(kernels.reduce_many, best[static_cast<std::size_t>(op)].reduce_many);
      EXPECT_EQ(kernels.reduce_many_twice, best[static_cast<std::size_t>(op)].reduce_many_twice);
    }
  }
}

TEST(Kernels, OfUnsupportedOperatorsAreNull) {
  for (const InstructionSet& set : instruction_sets()) {
    for (const DataType type : all_types()) {
      for (int op = 0; op < kReduceOpCount; ++op) {
        const Kernels& kernels =
            set.table[static_cast<std::size_t>(type)][static_cast<unsigned>(op)];
        const bool supported = supports(type, static_cast<ReduceOp>(op));
        EXPECT_EQ(kernels.reduce != nullptr, supported) << name(type) << " " << op;
        EXPECT_EQ(kernels.reduce_final != nullptr, supported) << name(type) << " " << op;
        EXPECT_EQ(kernels.reduce_many != nullptr, supported) << name(type) << " " << op;
        EXPECT_EQ(kernels.reduce_many_twice != nullptr, supported) << name(type) << " " << op;
      }
    }
  }
}

}  // namespace
}  // namespace tutti::test
