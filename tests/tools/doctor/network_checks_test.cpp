// NICs and RDMA ports: each check with the fault, without, and with broken files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kNic = "/sys/class/net/ens1";
constexpr std::string_view kDevice = "/sys/class/infiniband/mlx5_1";

std::string nic(std::string_view file) {
  return std::string(kNic) + "/" + std::string(file);
}

std::string port(std::string_view file) {
  return std::string(kDevice) + "/ports/1/" + std::string(file);
}

class NetworkChecks : public testing::Test {
 protected:
  NetworkChecks() { host_.make_healthy(); }
  MadeUpHost host_;
};

TEST_F(NetworkChecks, Link) {
  host_.write(nic("carrier"), "0\n");
  EXPECT_THAT(only_finding(host_.check("T-NIC-LINK")),
              AllOf(StartsWith("warning ens1: is up but has no link"),
                    HasSubstr("| look at `ethtool ens1`")));
  // A port that nobody brought up is not used; the kernel then refuses to tell its carrier.
  host_.write(nic("flags"), "0x1002\n");
  host_.remove(nic("carrier"));
  EXPECT_EQ(host_.check("T-NIC-LINK").state(), State::clear);
  host_.write(nic("flags"), "up\n");
  EXPECT_EQ(only_unseen(host_.check("T-NIC-LINK")), "/sys/class/net/ens1/flags: 'up' is no number");
}

TEST_F(NetworkChecks, NoNic) {
  for (const char* const name : {"ens0", "ens1"}) {
    host_.remove(std::string("/sys/class/net/") + name + "/device");
  }
  for (const char* const code : {"T-NIC-LINK", "T-NIC-SPEED", "T-MTU-MIX", "T-MTU-JUMBO"}) {
    EXPECT_THAT(host_.check(code).nothing_here,
                StartsWith("no NIC is visible here, only ens0, ens1, lo (in a container"));
  }
  host_.remove("/sys/class/net");
  EXPECT_EQ(only_unseen(host_.check("T-NIC-LINK")), "/sys/class/net: no such file");
  host_.folder("/sys/class/net");
  EXPECT_EQ(host_.check("T-NIC-LINK").nothing_here, "no network interface");
}

TEST_F(NetworkChecks, Speed) {
  host_.write(nic("speed"), "100000\n");
  EXPECT_THAT(
      only_finding(host_.check("T-NIC-SPEED")),
      AllOf(StartsWith("warning ens1: runs at 100 Gb/s, ens0 of the same model at 200 Gb/s"),
            HasSubstr("| compare `ethtool ens1` with `ethtool ens0`")));
  // Another model may be slower.
  host_.write(nic("device/device"), "0x1016\n");
  EXPECT_EQ(host_.check("T-NIC-SPEED").state(), State::clear);
  for (const char* const name : {"ens0", "ens1"}) {
    host_.write(std::string("/sys/class/net/") + name + "/speed", "-1\n");
  }
  EXPECT_EQ(host_.check("T-NIC-SPEED").nothing_here,
            "no NIC with a link says at what speed it runs");
}

TEST_F(NetworkChecks, MtuMix) {
  host_.write(nic("mtu"), "1500\n");
  EXPECT_THAT(only_finding(host_.check("T-MTU-MIX")),
              AllOf(StartsWith("warning ens1: has an MTU of 1500 bytes, ens0 one of 9000, at 200 "
                               "Gb/s: ens0 9000, ens1 1500"),
                    HasSubstr("`ip link set ens1 mtu 9000`")));
  for (const char* const name : {"ens0", "ens1"}) {
    host_.write(std::string("/sys/class/net/") + name + "/speed", "-1\n");
  }
  EXPECT_THAT(
      only_finding(host_.check("T-MTU-MIX")),
      StartsWith("note ens1: has an MTU of 1500 bytes, ens0 one of 9000, at unknown speed"));
  host_.write("/sys/class/net/ens0/speed", "200000\n");
  // A slower port serves something else.
  host_.write(nic("speed"), "1000\n");
  EXPECT_EQ(host_.check("T-MTU-MIX").state(), State::clear);
  host_.write(nic("mtu"), "big\n");
  EXPECT_EQ(only_unseen(host_.check("T-MTU-MIX")), "/sys/class/net/ens1/mtu: 'big' is no number");
}

TEST_F(NetworkChecks, Jumbo) {
  host_.write(nic("mtu"), "1500\n");
  EXPECT_THAT(only_finding(host_.check("T-MTU-JUMBO")),
              AllOf(StartsWith("warning ens1: has an MTU of 1500 bytes at 200 Gb/s: RoCE of mlx5_1 "
                               "then carries 1024 bytes per packet"),
                    HasSubstr("| `ip link set ens1 mtu 9000`")));
  host_.write(nic("mtu"), "2500\n");
  EXPECT_THAT(only_finding(host_.check("T-MTU-JUMBO")), HasSubstr("carries 2048 bytes"));
  host_.write(nic("mtu"), "800\n");
  EXPECT_THAT(only_finding(host_.check("T-MTU-JUMBO")), HasSubstr("carries 512 bytes"));
  host_.remove(port("gid_attrs/ndevs"));
  EXPECT_THAT(only_finding(host_.check("T-MTU-JUMBO")),
              HasSubstr("each packet costs the CPU the same"));
  host_.write(nic("speed"), "1000\n");
  EXPECT_EQ(host_.check("T-MTU-JUMBO").state(), State::clear);
}

TEST_F(NetworkChecks, RdmaPort) {
  host_.write(port("state"), "1: DOWN\n");
  host_.write(port("phys_state"), "2: Polling\n");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-PORT")),
              AllOf(StartsWith("warning mlx5_1 port 1: is 'DOWN' (physical state 'Polling')"),
                    HasSubstr("| look at the cable")));
  host_.write(port("phys_state"), "3: Disabled\n");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-PORT")), HasSubstr("| `ip link set` its interface"));
  host_.write(port("state"), "2: INIT\n");
  host_.write(port("link_layer"), "InfiniBand\n");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-PORT")), HasSubstr("| no subnet manager"));
  host_.write(port("link_layer"), "Token Ring\n");
  EXPECT_THAT(only_unseen(host_.check("T-RDMA-PORT")), HasSubstr("'Token Ring' is no link layer"));
  host_.write(port("state"), "ACTIVE\n");
  EXPECT_THAT(only_unseen(host_.check("T-RDMA-PORT")), HasSubstr("'ACTIVE' is no state of a port"));
  host_.remove("/sys/class/infiniband/mlx5_1/ports");
  EXPECT_EQ(only_unseen(host_.check("T-RDMA-PORT")),
            "/sys/class/infiniband/mlx5_1/ports: no such file");
}

TEST_F(NetworkChecks, NoRdma) {
  host_.remove("/sys/class/infiniband");
  for (const char* const code : {"T-RDMA-PORT", "T-RDMA-RATE", "T-RDMA-FLAP", "T-RDMA-FIRMWARE",
                                 "T-RDMA-ACCESS", "T-ROCE-V1", "T-ROCE-ADDRESS"}) {
    EXPECT_EQ(host_.check(code).nothing_here, "no RDMA device") << code;
  }
}

TEST_F(NetworkChecks, RdmaRate) {
  host_.write(port("rate"), "100 Gb/sec (2X HDR)\n");
  EXPECT_THAT(
      only_finding(host_.check("T-RDMA-RATE")),
      AllOf(StartsWith("warning mlx5_1 port 1: runs at '100 Gb/sec (2X HDR)', mlx5_0 port 1 "
                       "of the same model at '200 Gb/sec (4X HDR)'"),
            HasSubstr("| reseat or replace the cable")));
  // The other port of a card may be InfiniBand, and faster.
  host_.write("/sys/class/infiniband/mlx5_0/ports/1/link_layer", "InfiniBand\n");
  EXPECT_EQ(host_.check("T-RDMA-RATE").state(), State::clear);
  // One lane is a fault on InfiniBand, and usual on Ethernet.
  host_.write(std::string(kDevice) + "/board_id", "MT_1\n");
  host_.write(port("rate"), "25 Gb/sec (1X EDR)\n");
  EXPECT_EQ(host_.check("T-RDMA-RATE").state(), State::clear);
  host_.write(port("link_layer"), "InfiniBand\n");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-RATE")), HasSubstr("one lane of the cable's four"));
  host_.write(port("rate"), "fast\n");
  EXPECT_THAT(only_unseen(host_.check("T-RDMA-RATE")), HasSubstr("'fast' is no rate"));
  host_.write("/sys/class/infiniband/mlx5_0/ports/1/state", "1: DOWN\n");
  host_.write(port("state"), "1: DOWN\n");
  EXPECT_EQ(host_.check("T-RDMA-RATE").state(), State::nothing_here);
}

TEST_F(NetworkChecks, RdmaFlaps) {
  host_.write(port("counters/link_downed"), "23\n");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-FLAP")),
              AllOf(StartsWith("warning mlx5_1 port 1: lost its link 23 times"),
                    HasSubstr("| replace the cable")));
  host_.write(port("counters/link_downed"), "many\n");
  EXPECT_THAT(only_unseen(host_.check("T-RDMA-FLAP")), HasSubstr("'many' is no number"));
  host_.write(port("counters/link_downed"), "N/A (no PMA)\n");
  host_.remove("/sys/class/infiniband/mlx5_0/ports/1/counters");
  EXPECT_EQ(host_.check("T-RDMA-FLAP").nothing_here, "no RDMA port counts lost links");
}

TEST_F(NetworkChecks, RdmaFirmware) {
  host_.write(std::string(kDevice) + "/fw_ver", "28.40.1000\n");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-FIRMWARE")),
              AllOf(StartsWith("note 'MT_0000000970': devices of one model run different firmware: "
                               "'28.39.2048' on mlx5_0, '28.40.1000' on mlx5_1"),
                    HasSubstr("| the same version on all")));
}

// Devices that do not name their model, as Soft-RoCE's, are compared with none.
TEST_F(NetworkChecks, RdmaDevicesOfUnknownModel) {
  for (const char* const device : {"mlx5_0", "mlx5_1"}) {
    host_.remove(std::string("/sys/class/infiniband/") + device + "/board_id");
  }
  host_.write(std::string(kDevice) + "/fw_ver", "28.40.1000\n");
  host_.write(port("rate"), "100 Gb/sec (2X HDR)\n");
  EXPECT_EQ(host_.check("T-RDMA-RATE").state(), State::clear);
  EXPECT_EQ(host_.check("T-RDMA-FIRMWARE").state(), State::clear);
  for (const char* const device : {"mlx5_0", "mlx5_1"}) {
    host_.write(std::string("/sys/class/infiniband/") + device + "/hca_type", "MT4129\n");
  }
  EXPECT_THAT(only_finding(host_.check("T-RDMA-FIRMWARE")), StartsWith("note 'MT4129': devices"));
}

TEST_F(NetworkChecks, RdmaAccess) {
  host_.device_file_trouble = "Permission denied (errno 13)";
  const Outcome denied = host_.check("T-RDMA-ACCESS");
  ASSERT_EQ(denied.findings.size(), 2U);
  EXPECT_EQ(denied.findings[1].cause,
            "this user may not open /dev/infiniband/uverbs1: Permission denied (errno 13)");
  host_.device_file_trouble.clear();
  host_.remove("/dev/infiniband/uverbs1");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-ACCESS")),
              AllOf(StartsWith("error mlx5_1: /dev/infiniband/uverbs1 is missing"),
                    HasSubstr("| docker run --device=/dev/infiniband")));
  host_.write("/sys/class/infiniband_verbs/uverbs1/ibdev", "mlx5_9\n");
  EXPECT_THAT(only_finding(host_.check("T-RDMA-ACCESS")),
              AllOf(StartsWith("error mlx5_1: has no entry in /sys/class/infiniband_verbs"),
                    HasSubstr("| `modprobe ib_uverbs`")));
}

TEST_F(NetworkChecks, RoceVersion1Only) {
  for (const char* const index : {"1", "3"}) {
    host_.write(port("gid_attrs/types/") + index, "IB/RoCE v1\n");
  }
  EXPECT_THAT(only_finding(host_.check("T-ROCE-V1")),
              AllOf(StartsWith("error mlx5_1 port 1: has 4 GIDs, none of them of RoCE v2"),
                    HasSubstr("| `cma_roce_mode -d mlx5_1 -p 1 -m 2`")));
  for (const char* const index : {"0", "1", "2", "3"}) {
    host_.write(port("gids/") + index, "0000:0000:0000:0000:0000:0000:0000:0000\n");
  }
  EXPECT_THAT(only_finding(host_.check("T-ROCE-V1")), HasSubstr("has no GID at all"));
  host_.write(port("gids/0"), "fe80::1\n");
  EXPECT_THAT(only_unseen(host_.check("T-ROCE-V1")), HasSubstr("'fe80::1' is no GID"));
  host_.write(port("link_layer"), "InfiniBand\n");
  EXPECT_EQ(host_.check("T-ROCE-V1").state(), State::clear);
}

TEST_F(NetworkChecks, RoceWithoutAnAddress) {
  const std::string local = host_.read(port("gids/0"));
  host_.write(port("gids/3"), local);
  EXPECT_THAT(only_finding(host_.check("T-ROCE-ADDRESS")),
              AllOf(StartsWith("warning mlx5_1 port 1: has link-local GIDs only"),
                    HasSubstr("| give its interface an IPv4 address")));
  host_.write(port("gid_attrs/types/3"), "RoCE v3\n");
  EXPECT_THAT(only_unseen(host_.check("T-ROCE-ADDRESS")), HasSubstr("is no type of a GID"));
}

}  // namespace
}  // namespace tutti::doctor::test
