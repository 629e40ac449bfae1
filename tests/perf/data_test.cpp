// The inputs of the performance tests give bitwise the same result in any order, and a lost,
// doubled or misplaced contribution shows.
#include "common/data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "common/small_float.h"
#include "device/reduce.h"

namespace tutti::perf {
namespace {

using Bytes = std::vector<std::byte>;

std::uint64_t seed() {
  const char* text = std::getenv("TUTTI_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
}

Bytes values(const Pattern& pattern, DataType type, std::int64_t count) {
  Bytes bytes(static_cast<std::size_t>(count) * size_of(type));
  pattern.fill(bytes);
  return bytes;
}

// Reduces the inputs pair by pair in a random order and shape, with the library's kernels, which
// round after each step.
Bytes reduce_in_random_order(std::vector<Bytes> inputs, DataType type, ReduceOp op,
                             std::mt19937_64& random) {
  const auto& kernels = device::kernels(type, op);
  const int ranks = static_cast<int>(inputs.size());
  const std::size_t count = inputs[0].size() / size_of(type);
  while (inputs.size() > 1) {
    std::shuffle(inputs.begin(), inputs.end(), random);
    const Bytes last = std::move(inputs.back());
    inputs.pop_back();
    Bytes& into = inputs[random() % inputs.size()];
    if (inputs.size() == 1) {
      kernels.reduce_final(into.data(), into.data(), last.data(), count, ranks,
                           device::Store::cached);
    } else {
      kernels.reduce(into.data(), into.data(), last.data(), count, device::Store::cached);
    }
  }
  return inputs[0];
}

class Reduction : public testing::TestWithParam<std::tuple<DataType, ReduceOp>> {};

TEST_P(Reduction, IsExactInAnyOrder) {
  const auto [type, op] = GetParam();
  const std::uint64_t start = seed();
  SCOPED_TRACE("TUTTI_TEST_SEED=" + std::to_string(start));
  std::mt19937_64 random(start);
  constexpr std::int64_t kCount = 257;
  for (const int ranks : {1, 2, 3, 5, 8, 17, 40, 300}) {
    std::vector<Bytes> inputs;
    for (int rank = 0; rank < ranks; ++rank) {
      inputs.push_back(values(reduction_input(type, op, rank, ranks, kCount), type, kCount));
    }
    const Pattern expected = reduction_result(type, op, ranks, kCount);
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(expected.count_wrong(reduce_in_random_order(inputs, type, op, random)), 0)
          << ranks << " ranks";
    }
  }
}

TEST_P(Reduction, ShowsALostOrDoubledContribution) {
  const auto [type, op] = GetParam();
  constexpr std::int64_t kCount = 1000;
  constexpr int kRanks = 4;
  std::mt19937_64 random(1);
  std::vector<Bytes> inputs;
  for (int rank = 0; rank < kRanks; ++rank) {
    inputs.push_back(values(reduction_input(type, op, rank, kRanks, kCount), type, kCount));
  }
  const Pattern expected = reduction_result(type, op, kRanks, kCount);
  for (std::size_t lost = 0; lost < kRanks; ++lost) {
    auto doubled = inputs;
    doubled[lost] = inputs[(lost + 1) % kRanks];  // one lost, its neighbour doubled
    EXPECT_GT(expected.count_wrong(reduce_in_random_order(doubled, type, op, random)), 0)
        << "rank " << lost;
  }
}

// What a rank of `ranks` contributes to each block, after the library's multiplication.
Bytes multiplied(DataType type, int rank, int ranks, std::int64_t count, int block) {
  const Operator op = Operator::mulsum();
  Bytes bytes = values(reduction_input(type, op, rank, ranks, count, block), type, count);
  device::scale(type, bytes.data(), bytes.data(), static_cast<std::size_t>(count),
                op.reduction(rank, type));
  return bytes;
}

TEST(Mulsum, IsExactInAnyOrderAndDiffersFromTheSum) {
  const std::uint64_t start = seed();
  SCOPED_TRACE("TUTTI_TEST_SEED=" + std::to_string(start));
  std::mt19937_64 random(start);
  constexpr std::int64_t kCount = 257;
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    for (const int ranks : {1, 2, 3, 8, 17, 40}) {
      SCOPED_TRACE(std::string(name(type)) + ", ranks: " + std::to_string(ranks));
      const Pattern expected = reduction_result(type, Operator::mulsum(), ranks, kCount);
      for (const int block : {0, ranks / 2}) {
        std::vector<Bytes> inputs;
        for (int rank = 0; rank < ranks; ++rank) {
          inputs.push_back(multiplied(type, rank, ranks, kCount, block));
        }
        EXPECT_EQ(expected.count_wrong(reduce_in_random_order(inputs, type, ReduceOp::sum, random)),
                  0);
        if (ranks == 1) continue;
        inputs[1] = values(reduction_input(type, Operator::mulsum(), 1, ranks, kCount, block), type,
                           kCount);  // a factor that was forgotten
        EXPECT_GT(expected.count_wrong(reduce_in_random_order(inputs, type, ReduceOp::sum, random)),
                  0);
      }
    }
  }
}

TEST(Blocks, HaveTheSameResultFromOtherContributions) {
  constexpr int kRanks = 3;
  constexpr std::int64_t kCount = 100;
  const auto input = [](int rank, int block) {
    return values(reduction_input(DataType::float32, ReduceOp::sum, rank, kRanks, kCount, block),
                  DataType::float32, kCount);
  };
  EXPECT_EQ(input(0, 1), input(1, 0));
  EXPECT_EQ(input(2, 2), input(1, 0));
  EXPECT_NE(input(0, 1), input(0, 0));
}

INSTANTIATE_TEST_SUITE_P(
    All, Reduction,
    testing::Combine(testing::Values(DataType::float32, DataType::float64, DataType::float16,
                                     DataType::bfloat16, DataType::float8_e4m3,
                                     DataType::float8_e5m2, DataType::int8, DataType::int16,
                                     DataType::int32, DataType::int64, DataType::uint8,
                                     DataType::uint16, DataType::uint32, DataType::uint64),
                     testing::Values(ReduceOp::sum, ReduceOp::product, ReduceOp::min, ReduceOp::max,
                                     ReduceOp::average)),
    [](const auto& info) {
      return std::string(name(std::get<0>(info.param))) + "_" +
             std::string(name(std::get<1>(info.param)));
    });

TEST(Pattern, CountsWrongElementsBeyondOnePeriod) {
  constexpr std::int64_t kCount = 2 * kPatternPeriod + 77;
  const Pattern pattern = random_bits(DataType::int32, 3, kCount);
  Bytes bytes = values(pattern, DataType::int32, kCount);
  EXPECT_EQ(pattern.count_wrong(bytes), 0);
  bytes[0] ^= std::byte{1};
  bytes[1] ^= std::byte{1};  // the same element
  bytes[bytes.size() - 1] ^= std::byte{1};
  bytes[static_cast<std::size_t>(kPatternPeriod) * 4] ^= std::byte{1};
  EXPECT_EQ(pattern.count_wrong(bytes), 3);
  EXPECT_EQ(pattern.count_wrong({}), 0);
}

TEST(Pattern, AMisplacedBlockShows) {
  constexpr std::int64_t kCount = 1 << 18;
  const Pattern pattern = random_bits(DataType::uint8, 0, kCount);
  Bytes bytes = values(pattern, DataType::uint8, kCount);
  std::rotate(bytes.begin(), bytes.begin() + 65'536, bytes.end());
  EXPECT_GT(pattern.count_wrong(bytes), kCount * 9 / 10);
}

TEST(Pattern, OfALargeCountServesSmallerOnes) {
  const Pattern large = reduction_result(DataType::float16, ReduceOp::sum, 4, 1000);
  EXPECT_EQ(large.count_wrong(values(reduction_result(DataType::float16, ReduceOp::sum, 4, 10),
                                     DataType::float16, 10)),
            0);
}

TEST(Pattern, RanksSendDifferentBits) {
  const Pattern first = random_bits(DataType::int64, 0, 100);
  EXPECT_EQ(first.count_wrong(values(random_bits(DataType::int64, 1, 100), DataType::int64, 100)),
            100);
}

TEST(SmallFloat, EncodesKnownValues) {
  EXPECT_EQ(encode(1.0f, kFloat16), 0x3c00);
  EXPECT_EQ(encode(-2.0f, kFloat16), 0xc000);
  EXPECT_EQ(encode(0x1p-24f, kFloat16), 0x0001);  // the smallest subnormal
  EXPECT_EQ(encode(1.0f / 3, kFloat16), 0x3555);
  EXPECT_EQ(encode(1.0f, kBfloat16), 0x3f80);
  EXPECT_EQ(encode(1.0f / 3, kBfloat16), 0x3eab);
  EXPECT_EQ(encode(448.0f, kFloat8E4m3), 0x7e);
  EXPECT_EQ(encode(0x1p-9f, kFloat8E4m3), 0x01);
  EXPECT_EQ(encode(57344.0f, kFloat8E5m2), 0x7b);
  EXPECT_EQ(encode(-0.0f, kFloat8E5m2), 0x80);
  EXPECT_EQ(encode(0x1p-30f, kFloat8E5m2), 0x00);
}

TEST(SmallFloat, RoundsHalfToEven) {
  EXPECT_EQ(encode(1 + 1.0f / 16, kFloat8E4m3), 0x38);  // between 1 and 1.125: down to even
  EXPECT_EQ(encode(1 + 3.0f / 16, kFloat8E4m3), 0x3a);  // between 1.125 and 1.25: up to even
  EXPECT_EQ(encode(1.97f, kFloat8E4m3), 0x40);          // carries into the exponent
}

}  // namespace
}  // namespace tutti::perf
