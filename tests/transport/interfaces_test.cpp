#include "base/interfaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tutti {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Interface make(const std::string& name, const char* address, int prefix_bits = 24,
               bool bridge = false) {
  return {name, *SocketAddress::parse(address, 0), prefix_bits, bridge};
}

std::vector<Interface> example() {
  return {make("lo", "127.0.0.1", 8),
          make("lo", "::1", 128),
          make("docker0", "172.17.0.1", 16, true),
          make("eth0", "fe80::1", 64),
          make("eth0", "fd00::1", 64),
          make("eth0", "10.0.0.1"),
          make("eth1", "10.1.0.1"),
          make("eth10", "10.2.0.1"),
          make("ib0", "192.168.7.1")};
}

std::vector<std::string> names(const Result<std::vector<Interface>>& list) {
  std::vector<std::string> result;
  EXPECT_TRUE(list.ok()) << list.status().message();
  if (!list.ok()) return result;
  for (const Interface& one : *list) {
    if (result.empty() || result.back() != one.name) result.push_back(one.name);
  }
  return result;
}

TEST(Interfaces, FilterForms) {
  const auto all = example();
  EXPECT_THAT(names(filter_interfaces(all, "")),
              ElementsAre("lo", "docker0", "eth0", "eth1", "eth10", "ib0"));
  EXPECT_THAT(names(filter_interfaces(all, "eth")), ElementsAre("eth0", "eth1", "eth10"));
  EXPECT_THAT(names(filter_interfaces(all, "eth1")), ElementsAre("eth1", "eth10"));
  EXPECT_THAT(names(filter_interfaces(all, "=eth1")), ElementsAre("eth1"));
  EXPECT_THAT(names(filter_interfaces(all, "=eth1,ib0")), ElementsAre("eth1", "ib0"));
  EXPECT_THAT(names(filter_interfaces(all, "ib,eth0,")), ElementsAre("eth0", "ib0"));
  EXPECT_THAT(names(filter_interfaces(all, "^docker,lo")),
              ElementsAre("eth0", "eth1", "eth10", "ib0"));
  EXPECT_THAT(names(filter_interfaces(all, "^=eth1,lo,docker0")),
              ElementsAre("eth0", "eth10", "ib0"));
}

TEST(Interfaces, FilterThatLeavesNothingNamesWhatThereIs) {
  for (const char* text : {"enp", "=eth", "^lo,docker,eth,ib", ",", "^", "="}) {
    const auto list = filter_interfaces(example(), text);
    ASSERT_FALSE(list.ok()) << text;
    EXPECT_EQ(list.status().code(), Code::invalid_environment);
    EXPECT_THAT(std::string(list.status().message()),
                testing::AllOf(HasSubstr("TUTTI_SOCKET_IFNAME='" + std::string(text) + "'"),
                               HasSubstr("lo, docker0, eth0, eth1, eth10, ib0")));
  }
}

TEST(Interfaces, BestFirst) {
  EXPECT_THAT(names(best_first(example())),
              ElementsAre("eth0", "eth1", "eth10", "ib0", "eth0", "docker0", "lo"));
  for (const Interface& one : best_first(example())) EXPECT_FALSE(one.address.is_link_local());
  const auto few = best_first({make("lo", "127.0.0.1"), make("eth0", "fe80::1", 64),
                               make("docker0", "172.17.0.1", 16, true)});
  EXPECT_THAT(names(few), ElementsAre("docker0", "eth0", "lo"));
}

TEST(Interfaces, SameSubnet) {
  const auto at = [](const char* text) { return *SocketAddress::parse(text, 9); };
  EXPECT_TRUE(same_subnet(make("a", "10.0.0.1", 24), at("10.0.0.200")));
  EXPECT_FALSE(same_subnet(make("a", "10.0.0.1", 24), at("10.0.1.1")));
  EXPECT_TRUE(same_subnet(make("a", "10.0.0.1", 23), at("10.0.1.1")));
  EXPECT_FALSE(same_subnet(make("a", "10.0.0.1", 32), at("10.0.0.2")));
  EXPECT_TRUE(same_subnet(make("a", "fd00:0:0:1::1", 64), at("fd00:0:0:1::2")));
  EXPECT_FALSE(same_subnet(make("a", "fd00:0:0:1::1", 64), at("fd00:0:0:2::2")));
  EXPECT_FALSE(same_subnet(make("a", "10.0.0.1", 24), at("fd00::1")));
  EXPECT_FALSE(same_subnet(make("lo", "127.0.0.1", 8), at("127.0.0.1")));
  EXPECT_FALSE(same_subnet(make("a", "fe80::1", 64), at("fe80::2")));
  EXPECT_FALSE(same_subnet(make("tunnel", "10.0.0.1", 0), at("10.0.0.2"))) << "no netmask";
}

TEST(Interfaces, SameHostAddressIgnoresThePort) {
  EXPECT_TRUE(same_host_address(*SocketAddress::parse("10.0.0.1", 1),
                                *SocketAddress::parse("10.0.0.1", 2)));
  EXPECT_FALSE(same_host_address(*SocketAddress::parse("10.0.0.1", 1),
                                 *SocketAddress::parse("10.0.0.2", 1)));
  EXPECT_FALSE(
      same_host_address(*SocketAddress::parse("10.0.0.1", 1), *SocketAddress::parse("::1", 1)));
}

TEST(Interfaces, LocalOnesAreUsable) {
  const auto all = local_interfaces();
  ASSERT_TRUE(all.ok()) << all.status().message();
  for (const Interface& one : *all) {
    EXPECT_FALSE(one.name.empty());
    EXPECT_EQ(one.address.port(), 0);
    EXPECT_GT(one.prefix_bits, 0) << one.name;
  }
}

}  // namespace
}  // namespace tutti
