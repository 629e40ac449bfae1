// Multiplying by a factor: the bits of the reference for every type, factor, count, address and
// instruction set, and the values that tend to go wrong, by name.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "device/instruction_sets.h"
#include "device/kernel_calls.h"
#include "device/reduce.h"
#include "device/reduce_reference.h"
#include "support/values.h"

namespace tutti::test {
namespace {

using device::Store;

device::ScaleFunction scale_of(const InstructionSet& set, DataType type) {
  return set.scale[static_cast<std::size_t>(type)];
}

// Factors that change nothing, round, overflow, underflow, wrap, are no numbers, or do not fit the
// type that the product is computed in.
std::vector<Reduction> factors_of(DataType type, std::mt19937_64& random) {
  std::vector<Reduction> factors;
  if (type >= DataType::int8) {
    const std::int64_t integers[] = {0, 1, -1, 2, 3, -7, 128, 255, 65537, INT64_MAX, INT64_MIN};
    for (const std::int64_t factor : integers) {
      factors.push_back(Reduction::premultiplied_sum(factor));
    }
    factors.push_back(Reduction::premultiplied_sum(static_cast<std::int64_t>(random())));
  } else {
    const double infinity = std::numeric_limits<double>::infinity();
    for (const double factor :
         {0.0, -0.0, 1.0, -1.0, 0.5, 1.0 / 3, -1.0 / 7, 3.0, 0.1, 1e-3, 1e4, 0x1p-140, 0x1p120,
          1e300, -1e-300, infinity, -infinity, static_cast<double>(NAN)}) {
      factors.push_back(Reduction::premultiplied_sum(factor));
    }
    const auto number = static_cast<std::int64_t>(random());
    factors.push_back(Reduction::premultiplied_sum(std::ldexp(static_cast<double>(number), -62)));
  }
  return factors;
}

std::string text_of(const Reduction& reduction) {
  return reduction.factor_kind() == Reduction::Factor::integer
             ? std::to_string(reduction.integer_factor())
             : std::to_string(reduction.floating_factor());
}

class ScaleTest : public testing::TestWithParam<DataType> {
 protected:
  static void SetUpTestSuite() { seed_ = test_seed(); }
  static inline std::uint64_t seed_ = 0;

  std::mt19937_64 random_{seed_};
  const std::vector<InstructionSet> sets_ = instruction_sets();
};

TEST_P(ScaleTest, GivesTheReferenceBitsForEveryCountAndAddress) {
  const DataType type = GetParam();
  const std::vector<Bytes> contents = {random_elements(type, 1001, random_)};
  for (const Reduction& factor : factors_of(type, random_)) {
    const Bytes expected = reference_scale(type, contents[0], factor);
    for (const InstructionSet& set : sets_) {
      for (const std::size_t count :
           {0u, 1u, 2u, 3u, 7u, 16u, 17u, 33u, 63u, 64u, 65u, 129u, 1001u}) {
        for (const Call& call : calls_of(count, size_of(type))) {
          if (call.store == Store::streaming) continue;  // scale knows no stores
          ASSERT_TRUE(agrees(call, size_of(type), contents, expected,
                             [&](void* dst, const auto& sources) {
                               scale_of(set, type)(dst, sources[0], count, factor);
                             }))
              << text_of(factor) << " on " << set.name << ", " << text_of(call);
        }
      }
    }
  }
}

// Elements of one or two bytes can be tried exhaustively.
class NarrowScaleTest : public ScaleTest {};

TEST_P(NarrowScaleTest, GivesTheReferenceBitsForEveryValue) {
  const DataType type = GetParam();
  const std::size_t size = size_of(type);
  Bytes source(65536 * size);
  for (std::size_t i = 0; i < 65536; ++i) std::memcpy(source.data() + i * size, &i, size);
  for (const Reduction& factor : factors_of(type, random_)) {
    const Bytes expected = reference_scale(type, source, factor);
    for (const InstructionSet& set : sets_) {
      Bytes result(source.size());
      scale_of(set, type)(result.data(), source.data(), 65536, factor);
      ASSERT_TRUE(result == expected) << text_of(factor) << " on " << set.name;
    }
  }
}

TEST_P(ScaleTest, IsResolvedForTheBestInstructionSet) {
  const Bytes source = random_elements(GetParam(), 100, random_);
  const Reduction factor = factors_of(GetParam(), random_).back();
  Bytes result(source.size());
  device::scale(GetParam(), result.data(), source.data(), 100, factor);
  EXPECT_EQ(result, reference_scale(GetParam(), source, factor));
  device::scale(GetParam(), nullptr, nullptr, 0, factor);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, ScaleTest, testing::ValuesIn(all_types()),
                         [](const auto& info) { return std::string(name(info.param)); });
INSTANTIATE_TEST_SUITE_P(NarrowTypes, NarrowScaleTest,
                         testing::Values(DataType::float16, DataType::bfloat16,
                                         DataType::float8_e4m3, DataType::float8_e5m2,
                                         DataType::int8, DataType::uint8, DataType::int16,
                                         DataType::uint16),
                         [](const auto& info) { return std::string(name(info.param)); });

// Expectations written as bits, one at a time, independent of the reference.
template <typename T, typename Factor>
T scaled(const InstructionSet& set, DataType type, T value, Factor factor) {
  T result{};
  scale_of(set, type)(&result, &value, 1, Reduction::premultiplied_sum(factor));
  return result;
}

TEST(ScaleSpecials, RoundSaturateAndOverflow) {
  for (const InstructionSet& set : instruction_sets()) {
    const std::uint8_t e4m3_one = 0x38;
    EXPECT_EQ(scaled(set, DataType::float8_e4m3, e4m3_one, 448.0), 0x7e) << set.name;
    EXPECT_EQ(scaled(set, DataType::float8_e4m3, e4m3_one, 1e9), 0x7e) << set.name;
    EXPECT_EQ(scaled(set, DataType::float8_e4m3, e4m3_one, -1e300), 0xfe) << set.name;
    // 1.0625 lies between 1 and 1.125: a tie, to even.
    EXPECT_EQ(scaled(set, DataType::float8_e4m3, e4m3_one, 1.0625), 0x38) << set.name;
    EXPECT_EQ(scaled(set, DataType::float8_e4m3, e4m3_one, 1.1875), 0x3a) << set.name;
    EXPECT_EQ(scaled(set, DataType::float8_e5m2, std::uint8_t{0x3c}, 1e9), 0x7c) << set.name;
    EXPECT_EQ(scaled(set, DataType::float16, std::uint16_t{0x7bff}, 2.0), 0x7c00) << set.name;
    EXPECT_EQ(scaled(set, DataType::bfloat16, std::uint16_t{0x3f80}, 0.0), 0) << set.name;
    // NaN wins and is canonical.
    EXPECT_EQ(scaled(set, DataType::float32, 0xffc01234u, 1.0), 0x7fc00000u) << set.name;
    EXPECT_EQ(scaled(set, DataType::float32, 0x7f800000u, 0.0), 0x7fc00000u) << set.name;
  }
}

// float64 keeps the factor as it is; float32 gets the nearest float32 of it.
TEST(ScaleSpecials, TheFactorIsRoundedToTheTypeOfTheProduct) {
  const double third = 1.0 / 3;
  for (const InstructionSet& set : instruction_sets()) {
    EXPECT_EQ(scaled(set, DataType::float64, 3.0, third), 1.0) << set.name;
    EXPECT_EQ(scaled(set, DataType::float64, 1.0, third), third) << set.name;
    EXPECT_EQ(scaled(set, DataType::float32, 1.0f, third), static_cast<float>(third)) << set.name;
    EXPECT_EQ(scaled(set, DataType::float32, 1.0f, 1e300), std::numeric_limits<float>::infinity());
  }
}

TEST(ScaleSpecials, IntegersWrap) {
  for (const InstructionSet& set : instruction_sets()) {
    EXPECT_EQ(scaled(set, DataType::int8, std::int8_t{100}, 3), 44) << set.name;
    EXPECT_EQ(scaled(set, DataType::int8, std::int8_t{-128}, -1), -128) << set.name;
    EXPECT_EQ(scaled(set, DataType::uint8, std::uint8_t{7}, 257), 7) << set.name;
    EXPECT_EQ(scaled(set, DataType::uint16, std::uint16_t{1}, -1), 0xffff) << set.name;
    EXPECT_EQ(scaled(set, DataType::int64, std::int64_t{-5}, 7), -35) << set.name;
    EXPECT_EQ(scaled(set, DataType::uint64, std::uint64_t{1} << 63, 2), 0u) << set.name;
  }
}

}  // namespace
}  // namespace tutti::test
