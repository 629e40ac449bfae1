#include "doctor/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/values.h"

namespace tutti::doctor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Words, AreWhatStandsBetweenWhiteSpace) {
  EXPECT_THAT(words(" 4096\t16384  4194304\n"), ElementsAre("4096", "16384", "4194304"));
  EXPECT_THAT(words(" \n"), IsEmpty());
  EXPECT_THAT(lines("a\n\nb"), ElementsAre("a", "", "b"));
  EXPECT_EQ(trim(std::string_view("\n x y \0", 7)), "x y");
}

TEST(Numbers, StandAlone) {
  EXPECT_EQ(parse_number("-1"), -1);
  EXPECT_EQ(parse_number("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  for (const std::string_view text : {"", "1x", " 1", "0x1", "9223372036854775808", "1.5"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_hex("0x1003"), 0x1003U);
  EXPECT_EQ(parse_hex("000001fffeffffff"), 0x1fffeffffffU);
  EXPECT_EQ(parse_hex("0x"), std::nullopt);
  EXPECT_EQ(leading_number("16.0 GT/s PCIe"), 16.0);
  EXPECT_EQ(leading_number("2.5 GT/s"), 2.5);
  EXPECT_EQ(leading_number("200 Gb/sec (4X HDR)"), 200.0);
  for (const std::string_view text :
       {"", "Unknown", "inf", "nan", "-1", "9x", "16.0GT/s", "9\x80"}) {
    EXPECT_EQ(leading_number(text), std::nullopt) << text;
  }
}

TEST(Sets, AreRangesAndNumbers) {
  EXPECT_THAT(*parse_set("0-2,8"), ElementsAre(0, 1, 2, 8));
  EXPECT_THAT(*parse_set(""), IsEmpty());
  for (const std::string_view text : {"a", "3-1", "-1", "0-99999999999", "1,,2", "0-"}) {
    EXPECT_EQ(parse_set(text), std::nullopt) << text;
  }
}

TEST(NaturalOrder, ComparesDigitsByValue) {
  EXPECT_TRUE(natural_less("mlx5_2", "mlx5_10"));
  EXPECT_FALSE(natural_less("mlx5_10", "mlx5_2"));
  EXPECT_TRUE(natural_less("eth", "eth0"));
  EXPECT_FALSE(natural_less("a", "a"));
}

// std::sort needs a strict weak order: of three drawn names, none may contradict the others.
TEST(NaturalOrder, IsAnOrder) {
  std::mt19937_64 random(test::test_seed());
  const auto draw = [&] {
    std::string name;
    for (std::uint64_t left = random() % 5; left > 0; --left) name += "a0b17"[random() % 5];
    return name;
  };
  for (int round = 0; round < 100'000; ++round) {
    const std::string a = draw();
    const std::string b = draw();
    const std::string c = draw();
    ASSERT_FALSE(natural_less(a, b) && natural_less(b, a)) << a << " " << b;
    ASSERT_EQ(a == b, !natural_less(a, b) && !natural_less(b, a)) << a << " " << b;
    ASSERT_TRUE(!natural_less(a, b) || !natural_less(b, c) || natural_less(a, c))
        << a << " " << b << " " << c;
  }
}

TEST(Texts, AreShortAndPrintable) {
  EXPECT_EQ(bytes_text(0), "0 bytes");
  EXPECT_EQ(bytes_text(64ULL << 20), "64 MiB");
  EXPECT_EQ(bytes_text(3ULL << 29), "1.5 GiB");
  EXPECT_EQ(bytes_text(~0ULL), "16777216 TiB");
  EXPECT_EQ(in_quotes("a\x1b[31m\n"), "'a?[31m?'");
  EXPECT_EQ(in_quotes(std::string(99, 'x')), "'" + std::string(40, 'x') + "'...");
  const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f"};
  EXPECT_EQ(some_of(names), "a, b, c, d and 2 more");
  EXPECT_EQ(some_of(std::span(names).first(5)), "a, b, c, d, e");
}

}  // namespace
}  // namespace tutti::doctor
