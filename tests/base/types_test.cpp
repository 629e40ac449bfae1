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
}

TEST(ReduceOp, UnknownNameListsTheKnownOnes) {
  const auto parsed = parse_reduce_op("median");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.status().message(),
            "unknown reduction operator 'median'; use one of: sum, product, min, max, average");
}

TEST(Names, OfNoEnumeratorIsInvalid) {
  EXPECT_EQ(name(static_cast<DataType>(200)), "invalid");
  EXPECT_EQ(name(static_cast<ReduceOp>(200)), "invalid");
}

}  // namespace
}  // namespace tutti
