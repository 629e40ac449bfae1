#include "tutti/types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace tutti {
namespace {

using testing::HasSubstr;

TEST(DataType, EveryNameParsesToItself) {
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    const auto parsed = parse_data_type(name(type));
    ASSERT_TRUE(parsed.ok()) << name(type);
    EXPECT_EQ(*parsed, type);
    const std::size_t bytes = size_of(type);
    EXPECT_TRUE(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
    // The digits of a name are its bits.
    const std::string digits = std::to_string(bytes * 8);
    EXPECT_THAT(std::string(name(type)), HasSubstr(digits));
  }
}

TEST(DataType, TakesTheNamesOfNcclTests) {
  const std::pair<std::string_view, DataType> kNames[] = {
      {"float", DataType::float32},        {"double", DataType::float64},
      {"half", DataType::float16},         {"fp8_e4m3", DataType::float8_e4m3},
      {"fp8_e5m2", DataType::float8_e5m2},
  };
  for (const auto& [text, type] : kNames) {
    const auto parsed = parse_data_type(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, type);
  }
}

TEST(DataType, UnknownNameListsTheKnownOnes) {
  for (const std::string_view text : {"float31", "", "Float32"}) {
    const auto parsed = parse_data_type(text);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.status().code(), Code::invalid_argument);
    EXPECT_THAT(std::string(parsed.status().message()),
                HasSubstr("unknown data type '" + std::string(text) +
                          "'; use one of: float32, float64, float16, bfloat16"));
  }
}

TEST(ReduceOp, EveryNameAndAliasParses) {
  for (int i = 0; i < kReduceOpCount; ++i) {
    const auto op = static_cast<ReduceOp>(i);
    ASSERT_TRUE(parse_reduce_op(name(op)).ok());
    EXPECT_EQ(*parse_reduce_op(name(op)), op);
  }
  EXPECT_EQ(*parse_reduce_op("prod"), ReduceOp::product);
  EXPECT_EQ(*parse_reduce_op("avg"), ReduceOp::average);
  EXPECT_EQ(*parse_reduce_op("band"), ReduceOp::bit_and);
  EXPECT_EQ(*parse_reduce_op("bor"), ReduceOp::bit_or);
  EXPECT_EQ(*parse_reduce_op("bxor"), ReduceOp::bit_xor);
}

TEST(ReduceOp, UnknownNameListsTheKnownOnes) {
  const auto parsed = parse_reduce_op("median");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.status().message(),
            "unknown reduction operator 'median'; use one of: sum, product, min, max, average, "
            "bit_and, bit_or, bit_xor");
}

TEST(ReduceOp, IsBitwiseForIntegersOnly) {
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    const bool is_integer = name(type).find("int") != std::string_view::npos;
    for (int k = 0; k < kReduceOpCount; ++k) {
      const auto op = static_cast<ReduceOp>(k);
      const bool is_bitwise = name(op).substr(0, 4) == "bit_";
      EXPECT_EQ(supports(type, op), is_integer || !is_bitwise) << name(type) << " " << name(op);
    }
  }
}

TEST(Reduction, IsAnOperatorOrASumWithAFactor) {
  const Reduction plain = ReduceOp::max;
  EXPECT_EQ(plain.op(), ReduceOp::max);
  EXPECT_EQ(plain.factor_kind(), Reduction::Factor::none);
  const Reduction floating = Reduction::premultiplied_sum(0.25);
  EXPECT_EQ(floating.op(), ReduceOp::sum);
  EXPECT_EQ(floating.factor_kind(), Reduction::Factor::floating);
  EXPECT_EQ(floating.floating_factor(), 0.25);
  const Reduction integer = Reduction::premultiplied_sum(-3);
  EXPECT_EQ(integer.op(), ReduceOp::sum);
  EXPECT_EQ(integer.factor_kind(), Reduction::Factor::integer);
  EXPECT_EQ(integer.integer_factor(), -3);
}

TEST(Collective, NamesAreThoseOfTheCalls) {
  EXPECT_EQ(name(Collective::all_reduce), "all_reduce");
  EXPECT_EQ(name(Collective::broadcast), "broadcast");
  EXPECT_EQ(name(Collective::reduce), "reduce");
  EXPECT_EQ(name(Collective::all_gather), "all_gather");
  EXPECT_EQ(name(Collective::reduce_scatter), "reduce_scatter");
  EXPECT_EQ(name(Collective::all_to_all), "all_to_all");
  EXPECT_EQ(name(Collective::gather), "gather");
  EXPECT_EQ(name(Collective::scatter), "scatter");
  EXPECT_EQ(name(Collective::barrier), "barrier");
}

TEST(Names, OfNoEnumeratorIsInvalid) {
  EXPECT_EQ(name(static_cast<DataType>(200)), "invalid");
  EXPECT_EQ(name(static_cast<ReduceOp>(200)), "invalid");
  EXPECT_EQ(name(static_cast<Collective>(200)), "invalid");
}

}  // namespace
}  // namespace tutti
