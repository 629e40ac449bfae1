#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "transport/rdma/fake_verbs.h"
#include "transport/rdma/rail.h"
#include "transport/rdma/sysfs.h"

namespace tutti::transport::rdma {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// A folder that looks like /sys, as far as it is read.
class FakeSysfs {
 public:
  FakeSysfs() {
    std::string name = testing::TempDir() + "/sysfs-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  FakeSysfs(const FakeSysfs&) = delete;
  FakeSysfs& operator=(const FakeSysfs&) = delete;
  ~FakeSysfs() { std::filesystem::remove_all(root_); }

  void add(const std::string& device, int port, const std::string& interface) const {
    const std::filesystem::path folder =
        root_ / "class/infiniband" / device / "ports" / std::to_string(port) / "gid_attrs/ndevs";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "0");  // an entry that is not in use
    std::ofstream(folder / "1") << interface << '\n';
  }
  std::string path() const { return root_; }

 private:
  std::filesystem::path root_;
};

class Fabric : public testing::Test {
 protected:
  ~Fabric() override { EXPECT_EQ(fabric_.counts().objects(), 0); }

  void has(std::vector<FakeDeviceConfig> devices) {
    verbs_ = fabric_.verbs("n1", std::move(devices));
  }
  Rails open() {
    auto rails = open_rails(*verbs_, config_, sysfs_.path());
    EXPECT_TRUE(rails.ok()) << rails.status().message();
    return rails.ok() ? *std::move(rails) : Rails{};
  }
  // The rails in words.
  std::vector<std::string> opened() {
    std::vector<std::string> texts;
    for (const auto& rail : open().rails) texts.push_back(describe(rail->address()));
    return texts;
  }
  std::string reason() { return open().reason; }
  std::string refusal() {
    const auto rails = open_rails(*verbs_, config_, sysfs_.path());
    if (rails.ok()) return "accepted";
    EXPECT_EQ(rails.status().code(), Code::invalid_environment);
    return std::string(rails.status().message());
  }

  FakeFabric fabric_;
  FakeSysfs sysfs_;
  Config config_;
  std::unique_ptr<FakeVerbs> verbs_;
};

FakeDeviceConfig two_ports(const std::string& name) {
  FakeDeviceConfig device = roce_device(name, "10.0.0.1", 1);
  device.ports.push_back(roce_device(name, "10.1.0.1", 2).ports[0]);
  return device;
}

TEST_F(Fabric, EveryActivePortIsARailInNaturalOrder) {
  has({roce_device("mlx5_10", "10.0.0.10", 10), infiniband_device("mlx5_2", 7),
       two_ports("mlx5_0")});
  EXPECT_THAT(opened(), ElementsAre("mlx5_0 port 1, GID 3 ::ffff:10.0.0.1",
                                    "mlx5_0 port 2, GID 3 ::ffff:10.1.0.1", "mlx5_2 port 1, LID 7",
                                    "mlx5_10 port 1, GID 3 ::ffff:10.0.0.10"));
  EXPECT_EQ(reason(), "");
}

TEST_F(Fabric, ARailIsReadyForQueuePairs) {
  FakeDeviceConfig device = infiniband_device("mlx5_0", 7);
  device.ports[0].mtu = IBV_MTU_2048;
  has({device});
  const Rails rails = open();
  ASSERT_EQ(rails.rails.size(), 1u);
  const Rail& rail = *rails.rails[0];
  EXPECT_EQ(&rail.verbs(), verbs_.get());
  EXPECT_EQ(rail.pd()->context, rail.context());
  EXPECT_EQ(rail.cq()->channel, rail.channel());
  EXPECT_EQ(rail.cq()->cqe, kRailCompletions);
  EXPECT_EQ(rail.limits().phys_port_cnt, 1);
  EXPECT_TRUE(rail.address().infiniband);
  EXPECT_EQ(rail.address().lid, 7);
  EXPECT_EQ(rail.address().mtu, IBV_MTU_2048);
  EXPECT_NE(::fcntl(rail.channel()->fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(rail.context()->async_fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Fabric, TheCompletionQueueIsNoDeeperThanTheDeviceAllows) {
  FakeDeviceConfig device = infiniband_device("mlx5_0", 7);
  device.max_cqe = 100;
  has({device});
  const Rails rails = open();
  ASSERT_EQ(rails.rails.size(), 1u);
  EXPECT_EQ(rails.rails[0]->cq()->cqe, 100);
}

TEST_F(Fabric, TheListOfDevicesIsTheOrderOfTheRails) {
  has({two_ports("mlx5_0"), roce_device("rxe0", "10.2.0.1", 3)});
  config_.rdma_devices = "rxe0,mlx5_0:2";
  EXPECT_THAT(opened(), ElementsAre("rxe0 port 1, GID 3 ::ffff:10.2.0.1",
                                    "mlx5_0 port 2, GID 3 ::ffff:10.1.0.1"));
}

TEST_F(Fabric, DevicesThatAreNotAllowedAreNotOpened) {
  has({roce_device("mlx5_0", "10.0.0.1", 1), roce_device("rxe0", "10.2.0.1", 3)});
  config_.rdma_devices = "^mlx5";
  fabric_.fail("open_device", 3, EIO);  // once to count ports, once to use it
  EXPECT_THAT(opened(), ElementsAre("rxe0 port 1, GID 3 ::ffff:10.2.0.1"));
  EXPECT_EQ(fabric_.calls("open_device"), 2);
}

TEST_F(Fabric, ADeviceThatIsNotThereIsRefused) {
  has({two_ports("mlx5_0"), roce_device("rxe0", "10.2.0.1", 3)});
  config_.rdma_devices = "mlx5_1";
  EXPECT_THAT(refusal(), AllOf(StartsWith("TUTTI_RDMA_DEVICES='mlx5_1' names 'mlx5_1', which"),
                               HasSubstr("there are: mlx5_0, rxe0.")));
  config_.rdma_devices = "=mlx5_0:3";
  EXPECT_THAT(refusal(), HasSubstr("there are: mlx5_0:1, mlx5_0:2, rxe0."));
  config_.rdma_devices = "mlx5_0,";
  EXPECT_THAT(refusal(), HasSubstr("'' names no device"));
}

TEST_F(Fabric, AHostWithoutDevicesSaysSo) {
  has({});
  EXPECT_EQ(reason(), "there is no RDMA device on this host (`ibv_devices` lists them)");
  config_.rdma_devices = "mlx5";
  EXPECT_THAT(refusal(), HasSubstr("there are: none. Change it"));
  EXPECT_THAT(refusal(), HasSubstr("(there is no RDMA device on this host"));
  config_.rdma_devices = "^mlx5";
  EXPECT_THAT(open().rails, IsEmpty());
}

TEST_F(Fabric, DevicesThatOnlyTheKernelSeesAreNamed) {
  has({});
  sysfs_.add("mlx5_10", 1, "eth1");
  sysfs_.add("mlx5_2", 1, "eth0");
  EXPECT_EQ(reason(),
            "libibverbs shows no RDMA device, although the kernel has mlx5_2, mlx5_10: install its "
            "driver (Debian: ibverbs-providers), and in a container pass "
            "`--device=/dev/infiniband`");
}

TEST_F(Fabric, AListThatCannotBeHadIsAReason) {
  has({infiniband_device("mlx5_0", 7)});
  fabric_.fail("get_device_list", 1, ENOSYS);
  EXPECT_THAT(reason(), HasSubstr("its kernel has no RDMA support loaded (`modprobe ib_uverbs`"));
  fabric_.fail("get_device_list", 1, EPERM);
  EXPECT_EQ(reason(),
            "the RDMA devices cannot be listed: Operation not permitted (errno 1); `ibv_devices` "
            "should list them, for this user too");
}

TEST_F(Fabric, APortThatIsDownIsLeftOut) {
  FakeDeviceConfig device = two_ports("mlx5_0");
  device.ports[1].state = IBV_PORT_DOWN;
  has({device});
  EXPECT_THAT(opened(), ElementsAre("mlx5_0 port 1, GID 3 ::ffff:10.0.0.1"));
  EXPECT_EQ(reason(),
            "mlx5_0 port 2 is down: check the cable and the switch; `ibv_devinfo -d mlx5_0` shows "
            "the state");
  sysfs_.add("mlx5_0", 2, "eth1");
  EXPECT_EQ(reason(),
            "mlx5_0 port 2 (eth1) is down: `ip link set eth1 up`, and check the cable and the "
            "switch");
}

TEST_F(Fabric, AnInfinibandPortWithoutASubnetManagerIsLeftOut) {
  FakeDeviceConfig device = infiniband_device("mlx5_0", 0);
  device.ports[0].state = IBV_PORT_INIT;
  has({device});
  EXPECT_EQ(reason(),
            "mlx5_0 port 1 is not active yet: no subnet manager has set it up; start one on the "
            "fabric (opensm; `sminfo` finds it)");
}

TEST_F(Fabric, OtherKindsOfDevicesAreLeftOut) {
  has({roce_device("efa_0", "10.0.0.1", 1), roce_device("rxe0", "10.2.0.1", 3)});
  int count = 0;
  ibv_device** const list = verbs_->get_device_list(&count);
  list[0]->transport_type = IBV_TRANSPORT_UNSPECIFIED;
  verbs_->free_device_list(list);
  EXPECT_THAT(opened(), ElementsAre("rxe0 port 1, GID 3 ::ffff:10.2.0.1"));
  EXPECT_EQ(reason(),
            "efa_0 is neither InfiniBand nor RoCE (iWARP, EFA and usNIC are not supported)");
}

TEST_F(Fabric, ADeviceWithoutPortsIsLeftOut) {
  FakeDeviceConfig device;
  device.name = "odd0";
  has({device});
  EXPECT_EQ(reason(), "odd0 has no port");
}

TEST_F(Fabric, TheGidIsOfTheOwnPortAndByTheSetting) {
  has({two_ports("mlx5_0")});
  config_.rdma_gid_index = 1;
  EXPECT_THAT(opened(),
              ElementsAre("mlx5_0 port 1, GID 1 fe80::1", "mlx5_0 port 2, GID 1 fe80::2"));
  config_.rdma_gid_index = 4;
  EXPECT_THAT(refusal(), StartsWith("TUTTI_RDMA_GID_INDEX='4' is not valid: mlx5_0 port 1 has no "
                                    "GID there; there are: 0: RoCE v1 fe80::1, 1: RoCE v2"));
}

TEST_F(Fabric, APortWithoutAGidForRoceV2IsLeftOut) {
  FakeDeviceConfig device = two_ports("mlx5_0");
  device.ports[0].gids.resize(1);
  has({device});
  EXPECT_THAT(opened(), ElementsAre("mlx5_0 port 2, GID 3 ::ffff:10.1.0.1"));
  EXPECT_THAT(reason(), StartsWith("mlx5_0 port 1 has no GID for RoCE v2; there are: 0: RoCE v1"));
}

TEST_F(Fabric, AtMostSoManyRails) {
  std::vector<FakeDeviceConfig> devices;
  for (std::size_t i = 0; i <= kRailsMax; ++i) {
    devices.push_back(
        infiniband_device("mlx5_" + std::to_string(i), static_cast<std::uint16_t>(i + 1)));
  }
  has(devices);
  EXPECT_EQ(opened().size(), kRailsMax);
  EXPECT_EQ(reason(), "mlx5_8 port 1 is one more than the 8 rails that are used");
}

// Whatever call fails, the other device still becomes a rail, and the reason says what to do.
TEST_F(Fabric, ADeviceThatFailsIsLeftOutWithTheCause) {
  has({infiniband_device("mlx5_0", 1), infiniband_device("mlx5_1", 2)});
  struct Row {
    const char* call;
    int nth;  // of both devices' calls, so that it is the first device's
    int number;
    const char* text;
  };
  for (const Row& row : std::vector<Row>{
           {"open_device", 1, EACCES, "ibv_open_device failed on mlx5_0: Permission denied"},
           {"open_device", 3, ENOENT, "ibv_open_device failed on mlx5_0 port 1: No such file"},
           {"query_device", 1, EIO, "ibv_query_device failed on mlx5_0: Input/output error"},
           {"query_port", 1, EINVAL, "ibv_query_port failed on mlx5_0 port 1: Invalid argument"},
           {"query_gid_table", 1, EINVAL, "ibv_query_gid_table failed on mlx5_0 port 1, LID 1: "},
           {"query_device", 3, EIO, "ibv_query_device failed on mlx5_0 port 1, LID 1: Input"},
           {"alloc_pd", 1, ENOMEM, "ibv_alloc_pd failed on mlx5_0 port 1, LID 1: Cannot allocate"},
           {"create_comp_channel", 1, EMFILE, "ibv_create_comp_channel failed on mlx5_0 port 1"},
           {"create_cq", 1, EINVAL, "ibv_create_cq failed on mlx5_0 port 1, LID 1: Invalid"}}) {
    fabric_.fail(row.call, row.nth, row.number);
    const Rails rails = open();
    ASSERT_EQ(rails.rails.size(), 1u) << row.call;
    EXPECT_EQ(rails.rails[0]->address().device, "mlx5_1");
    EXPECT_THAT(rails.reason, AllOf(StartsWith(row.text), HasSubstr(". What to do: ")));
    fabric_.fail_no_more();
  }
}

TEST_F(Fabric, SeveralReasonsAreAllGiven) {
  has({infiniband_device("mlx5_0", 1), infiniband_device("mlx5_1", 2)});
  fabric_.fail("open_device", 0, EPERM);
  const Rails rails = open();
  EXPECT_THAT(rails.rails, IsEmpty());
  EXPECT_THAT(rails.reason, AllOf(HasSubstr("failed on mlx5_0: Operation not permitted (errno 1)"),
                                  HasSubstr("; ibv_open_device failed on mlx5_1: "),
                                  HasSubstr("`--device=/dev/infiniband`")));
}

TEST_F(Fabric, ADescriptorThatCannotBeSetGivesEverythingBack) {
  has({infiniband_device("mlx5_0", 1)});
  int count = 0;
  ibv_device** const list = verbs_->get_device_list(&count);
  ibv_context* const context = verbs_->open_device(list[0]);
  verbs_->free_device_list(list);
  context->async_fd = -1;
  const auto rail = Rail::create(*verbs_, context, {.device = "mlx5_0", .infiniband = true}, 16);
  ASSERT_FALSE(rail.ok());
  EXPECT_EQ(rail.status().code(), Code::unavailable);
  EXPECT_EQ(rail.status().message(),
            "the event descriptor of mlx5_0 port 1, LID 0 cannot be made non-blocking: Bad file "
            "descriptor (errno 9); look for mlx5_0 in `dmesg`");
}

TEST(Sysfs, NothingThereIsNotAnError) {
  EXPECT_THAT(kernel_devices("/nowhere"), IsEmpty());
  EXPECT_EQ(port_interface("/nowhere", "mlx5_0", 1), "");
}

}  // namespace
}  // namespace tutti::transport::rdma
