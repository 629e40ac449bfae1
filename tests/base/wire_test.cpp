#include "base/wire.h"

#include <gtest/gtest.h>

namespace tutti {
namespace {

TEST(Wire, RoundTrip) {
  WireWriter writer;
  writer.put<std::uint8_t>(7);
  writer.put<std::int64_t>(-5);
  writer.put_text("tutti");
  writer.put_text("");
  EXPECT_EQ(writer.bytes().size(), 1U + 8U + 2U + 5U + 2U);
  WireReader reader(writer.bytes());
  EXPECT_EQ(reader.get<std::uint8_t>(), 7);
  EXPECT_EQ(reader.get<std::int64_t>(), -5);
  EXPECT_EQ(reader.get_text(), "tutti");
  EXPECT_EQ(reader.get_text(), "");
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0U);
}

// Whatever the cut, reading stays inside and says so.
TEST(Wire, EveryTruncationIsNoticed) {
  WireWriter writer;
  writer.put<std::uint32_t>(1);
  writer.put_text("abc");
  for (std::size_t bytes = 0; bytes < writer.bytes().size(); ++bytes) {
    WireReader reader(writer.bytes().first(bytes));
    (void)reader.get<std::uint32_t>();
    EXPECT_EQ(reader.get_text(), "") << bytes;
    EXPECT_FALSE(reader.ok()) << bytes;
    EXPECT_EQ(reader.get<std::uint8_t>(), 0);
  }
}

TEST(Wire, LongTextIsCut) {
  WireWriter writer;
  writer.put_text(std::string(70'000, 'x'));
  WireReader reader(writer.bytes());
  EXPECT_EQ(reader.get_text().size(), 65'535U);
  EXPECT_TRUE(reader.ok());
}

}  // namespace
}  // namespace tutti
