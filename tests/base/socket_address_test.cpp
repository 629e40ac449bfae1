#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/socket.h"

namespace tutti {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST(SocketAddress, ParsesAndPrints) {
  EXPECT_EQ(SocketAddress::parse("10.0.0.1", 4000)->text(), "10.0.0.1:4000");
  EXPECT_EQ(SocketAddress::parse("::1", 4000)->text(), "[::1]:4000");
  EXPECT_EQ(SocketAddress::parse("fe80::1%lo", 7)->text(), "[fe80::1%lo]:7");
  EXPECT_EQ(SocketAddress::any_v4(5).text(), "0.0.0.0:5");
  EXPECT_EQ(SocketAddress::any_v6().text(), "[::]:0");
  EXPECT_EQ(SocketAddress().text(), "no address");
}

TEST(SocketAddress, RefusesWhatIsNoLiteral) {
  for (const std::string text :
       {"", "localhost", "1", "10.0.0", "10.0.0.256", "fe80::x", "::1%no"}) {
    const auto parsed = SocketAddress::parse(text, 1);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), Code::invalid_argument);
    EXPECT_THAT(std::string(parsed.status().message()),
                HasSubstr("'" + text + "' is no IP address"));
  }
}

TEST(SocketAddress, KnowsItsKind) {
  EXPECT_TRUE(SocketAddress::parse("127.0.0.2", 1)->is_loopback());
  EXPECT_TRUE(SocketAddress::parse("::1", 1)->is_loopback());
  EXPECT_FALSE(SocketAddress::parse("128.0.0.1", 1)->is_loopback());
  EXPECT_TRUE(SocketAddress::parse("169.254.0.1", 1)->is_link_local());
  EXPECT_TRUE(SocketAddress::parse("fe80::1", 1)->is_link_local());
  EXPECT_FALSE(SocketAddress::parse("fd00::1", 1)->is_link_local());
  EXPECT_FALSE(SocketAddress().is_loopback());
}

TEST(SocketAddress, ComparesByValue) {
  const SocketAddress a = *SocketAddress::parse("10.0.0.1", 1);
  EXPECT_EQ(a, *SocketAddress::parse("10.0.0.1", 1));
  EXPECT_FALSE(a == *SocketAddress::parse("10.0.0.2", 1));
  EXPECT_FALSE(a == *SocketAddress::parse("10.0.0.1", 2));
  EXPECT_FALSE(a == *SocketAddress::parse("::1", 1));
  EXPECT_EQ(SocketAddress(), SocketAddress());
  SocketAddress moved = a;
  moved.set_port(9);
  EXPECT_EQ(moved.port(), 9);
  EXPECT_EQ(SocketAddress(moved.get(), moved.length()), moved);
}

TEST(HostPort, Splits) {
  EXPECT_EQ(parse_host_port("node1:29400")->host, "node1");
  EXPECT_EQ(parse_host_port("node1:29400")->port, 29400);
  EXPECT_EQ(parse_host_port("[fd00::1]:1")->host, "fd00::1");
}

TEST(HostPort, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> kCases[] = {
      {"node1", "the port is missing"},
      {":1", "the host is missing"},
      {"[]:1", "the host is missing"},
      {"fd00::1:1", "an IPv6 address needs brackets"},
      {"node1:", "the port must be a number from 1 to 65535"},
      {"node1:0", "the port must be"},
      {"node1:65536", "the port must be"},
      {"node1:-1", "the port must be"},
      {"node1:80x", "the port must be"},
  };
  for (const auto& [text, why] : kCases) {
    const auto parsed = parse_host_port(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("'" + text + "'"));
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(why));
  }
}

TEST(Resolve, FindsLocalhostWithItsPort) {
  const auto found = resolve({"localhost", 77});
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_THAT(*found, Contains(*SocketAddress::parse("127.0.0.1", 77)));
}

TEST(Resolve, NamesTheUnknownHost) {
  // RFC 6761: .invalid never resolves, and resolvers need not ask anybody.
  const auto found = resolve({"nowhere.invalid", 77});
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::unavailable);
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("'nowhere.invalid'"));
}

}  // namespace
}  // namespace tutti
