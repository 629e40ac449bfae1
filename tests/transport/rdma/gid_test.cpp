#include "transport/rdma/gid.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

ibv_gid_entry entry(std::uint32_t index, std::uint32_t type, const char* address) {
  ibv_gid_entry one{};
  one.gid_index = index;
  one.gid_type = type;
  one.port_num = 1;
  EXPECT_EQ(inet_pton(AF_INET6, address, one.gid.raw), 1) << address;
  return one;
}

constexpr auto kV1 = IBV_GID_TYPE_ROCE_V1;
constexpr auto kV2 = IBV_GID_TYPE_ROCE_V2;

// What a driver makes for an interface with one address of each kind.
std::vector<ibv_gid_entry> example() {
  return {entry(0, kV1, "fe80::1"),           entry(1, kV2, "fe80::1"),
          entry(2, kV1, "::ffff:10.77.0.1"),  entry(3, kV2, "::ffff:10.77.0.1"),
          entry(4, kV1, "2001:db8::1"),       entry(5, kV2, "2001:db8::1"),
          entry(6, kV2, "::ffff:10.77.0.99"), entry(7, kV2, "::")};
}

int chosen(const std::vector<ibv_gid_entry>& entries, bool infiniband = false, int wanted = -1) {
  const auto gid = choose_gid(entries, infiniband, wanted, "rxe0 port 1");
  EXPECT_TRUE(gid.ok()) << gid.status().message();
  return gid.ok() ? static_cast<int>(gid->gid_index) : -1;
}

std::string message(const std::vector<ibv_gid_entry>& entries, bool infiniband, int wanted,
                    Code code) {
  const auto gid = choose_gid(entries, infiniband, wanted, "rxe0 port 1");
  if (gid.ok()) return "accepted";
  EXPECT_EQ(gid.status().code(), code);
  return std::string(gid.status().message());
}

TEST(Gid, RoceV2WithIpv4ComesFirstThenGlobalThenLinkLocal) {
  std::vector<ibv_gid_entry> entries = example();
  EXPECT_EQ(chosen(entries), 3);
  std::reverse(entries.begin(), entries.end());
  EXPECT_EQ(chosen(entries), 3);
  std::erase_if(entries, [](const ibv_gid_entry& one) { return one.gid_index == 3; });
  EXPECT_EQ(chosen(entries), 6);
  std::erase_if(entries, [](const ibv_gid_entry& one) { return one.gid_index == 6; });
  EXPECT_EQ(chosen(entries), 5);
  std::erase_if(entries, [](const ibv_gid_entry& one) { return one.gid_index == 5; });
  EXPECT_EQ(chosen(entries), 1);
}

TEST(Gid, RoceV1IsNeverChosenByTheRule) {
  EXPECT_EQ(message({entry(0, kV1, "fe80::1"), entry(2, kV1, "::ffff:10.77.0.1")}, false, -1,
                    Code::unavailable),
            "rxe0 port 1 has no GID for RoCE v2; there are: 0: RoCE v1 fe80::1, 2: RoCE v1 "
            "::ffff:10.77.0.1. Give its network interface an IPv4 address (`ip addr add "
            "ADDRESS/BITS dev INTERFACE`), or choose one of them with TUTTI_RDMA_GID_INDEX");
  EXPECT_THAT(message({}, false, -1, Code::unavailable), HasSubstr("there are: none."));
}

TEST(Gid, TheSettingChoosesAnyEntryThatIsThere) {
  for (int index = 0; index < 7; ++index) EXPECT_EQ(chosen(example(), false, index), index);
  for (int index : {7, 8, 255}) {
    EXPECT_THAT(message(example(), false, index, Code::invalid_environment),
                AllOf(StartsWith("TUTTI_RDMA_GID_INDEX='" + std::to_string(index) +
                                 "' is not valid: rxe0 port 1 has no GID there; there are: 0: RoCE "
                                 "v1 fe80::1, 1: RoCE v2 fe80::1, 2: RoCE v1 ::ffff:10.77.0.1, "),
                      HasSubstr("6: RoCE v2 ::ffff:10.77.0.99. Use one of these")));
  }
}

TEST(Gid, InfinibandUsesEntryZero) {
  const std::vector<ibv_gid_entry> entries = {entry(1, IBV_GID_TYPE_IB, "fec0::5"),
                                              entry(0, IBV_GID_TYPE_IB, "fe80::5")};
  EXPECT_EQ(chosen(entries, true), 0);
  EXPECT_EQ(chosen(entries, true, 1), 1);
  EXPECT_THAT(message({entries[0]}, true, -1, Code::unavailable),
              AllOf(HasSubstr("no GID at index 0; there are: 1: InfiniBand fec0::5."),
                    HasSubstr("`sminfo`")));
}

TEST(Gid, EntriesThatNoQueuePairCanNameAreSkipped) {
  EXPECT_EQ(chosen({entry(256, kV2, "::ffff:10.0.0.1"), entry(9, kV2, "fe80::1")}), 9);
}

TEST(Gid, Text) {
  const ibv_gid ipv4 = entry(0, kV2, "::ffff:10.77.0.1").gid;
  const ibv_gid ipv6 = entry(0, kV2, "fe80::1").gid;
  EXPECT_EQ(gid_text(ipv4), "::ffff:10.77.0.1");
  EXPECT_EQ(gid_text(ipv6), "fe80::1");
  EXPECT_EQ(ipv4_of(ipv4), "10.77.0.1");
  EXPECT_EQ(ipv4_of(ipv6), std::nullopt);
}

TEST(Gid, UnknownKindsAreListedToo) {
  EXPECT_THAT(message({entry(0, 9, "fe80::1")}, false, -1, Code::unavailable),
              HasSubstr("0: unknown type fe80::1"));
}

}  // namespace
}  // namespace tutti::transport::rdma
