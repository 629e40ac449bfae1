// The live loader on made-up sys and proc trees, with a made-up NVML.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "topology/live.h"
#include "topology/path.h"
#include "topology/print.h"

namespace tutti::topology {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

class Live : public testing::Test {
 protected:
  Live()
      : root_(std::filesystem::temp_directory_path() /
              fmt::format("tutti_live_test_{}", ::getpid())) {
    std::filesystem::create_directories(root_ / "sys");
  }
  ~Live() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << '\n';
  }
  // A symbolic link as sysfs has them: relative.
  void link(const std::string& path, const std::string& target) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::filesystem::create_symlink(
        std::filesystem::relative(root_ / target, (root_ / path).parent_path()), root_ / path);
  }

  void cpu(int number, int package, const std::string& siblings, const std::string& l3) {
    const std::string folder = fmt::format("sys/devices/system/cpu/cpu{}", number);
    put(folder + "/topology/physical_package_id", fmt::format("{}", package));
    put(folder + "/topology/core_cpus_list", siblings);
    put(folder + "/cache/index3/level", "3");
    put(folder + "/cache/index3/shared_cpu_list", l3);
  }
  void numa(int number, const std::string& cpus) {
    put(fmt::format("sys/devices/system/node/node{}/cpulist", number), cpus);
  }
  // A PCI function below others: chain is "pci0000:00/0000:00:01.0/0000:01:00.0".
  void pci(const std::string& chain, const std::string& pci_class, const std::string& vendor,
           const std::string& device, int numa_node, const std::string& speed = "32.0 GT/s PCIe",
           const std::string& most = "32.0 GT/s PCIe") {
    const std::string folder = "sys/devices/" + chain;
    const std::string id = chain.substr(chain.rfind('/') + 1);
    put(folder + "/class", pci_class);
    put(folder + "/vendor", vendor);
    put(folder + "/device", device);
    put(folder + "/numa_node", fmt::format("{}", numa_node));
    put(folder + "/current_link_speed", speed);
    put(folder + "/max_link_speed", most);
    put(folder + "/current_link_width", "16");
    put(folder + "/max_link_width", "16");
    link("sys/bus/pci/devices/" + id, folder);
  }
  void rdma(const std::string& name, const std::string& chain, const std::string& layer,
            const std::string& rate, const std::string& state) {
    const std::string folder = "sys/devices/" + chain + "/infiniband/" + name;
    put(folder + "/node_guid", "b8ce:f603:0012:3456");
    put(folder + "/fw_ver", "28.39.1002");
    link(folder + "/device", "sys/devices/" + chain);
    put(folder + "/ports/1/link_layer", layer);
    put(folder + "/ports/1/rate", rate);
    put(folder + "/ports/1/state", state);
    link("sys/class/infiniband/" + name, folder);
  }
  void gid(const std::string& chain, const std::string& name, int index, const std::string& type,
           const std::string& netdev) {
    const std::string folder =
        fmt::format("sys/devices/{}/infiniband/{}/ports/1/gid_attrs", chain, name);
    put(fmt::format("{}/types/{}", folder, index), type);
    put(fmt::format("{}/ndevs/{}", folder, index), netdev);
  }
  void netdev(const std::string& name, const std::string& chain, const std::string& speed,
              const std::string& mtu) {
    const std::string folder = "sys/devices/" + chain + "/net/" + name;
    put(folder + "/speed", speed);
    put(folder + "/mtu", mtu);
    put(folder + "/operstate", "up");
    link(folder + "/device", "sys/devices/" + chain);
    link("sys/class/net/" + name, folder);
  }

  // Two sockets of two cores, a switch with a GPU and a RoCE NIC, and a GPU on a port of its own.
  void server() {
    put("sys/devices/system/cpu/online", "0-3");
    put("proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n"
        "model\t\t: 143\nmodel name\t: Made up CPU");
    cpu(0, 0, "0", "0-1");
    cpu(1, 0, "1", "0-1");
    cpu(2, 1, "2-3", "2-3");
    cpu(3, 1, "2-3", "2-3");
    numa(0, "0-1");
    numa(1, "2-3");
    pci(kPort, "0x060400", "0x8086", "0x352a", 0);
    pci(kSwitch, "0x060400", "0x1000", "0xc030", 0);
    pci(kSwitch + "/0000:02:00.0", "0x060400", "0x1000", "0xc030", 0);
    pci(kGpu0, "0x030200", "0x10de", "0x2330", 0, "2.5 GT/s PCIe");
    pci(kSwitch + "/0000:02:01.0", "0x060400", "0x1000", "0xc030", 0);
    pci(kNic, "0x020000", "0x15b3", "0x1021", 0, "16.0 GT/s PCIe");
    pci("pci0000:80/0000:80:01.0", "0x060400", "0x8086", "0x352a", 1, "16.0 GT/s PCIe",
        "16.0 GT/s PCIe");
    pci(kGpu1, "0x030200", "0x10de", "0x2330", 1, "16.0 GT/s PCIe");
    pci("pci0000:80/0000:80:02.0", "0x010802", "0x144d", "0xa822", 1);  // a disk
  }

  Graph load(const std::string& nvml = {}) {
    auto graph = load_live({root_, nvml});
    EXPECT_TRUE(graph.ok()) << graph.status().message();
    return graph.ok() ? *std::move(graph) : Graph();
  }

  const std::string kPort = "pci0000:00/0000:00:01.0";
  const std::string kSwitch = kPort + "/0000:01:00.0";
  const std::string kGpu0 = kSwitch + "/0000:02:00.0/0000:03:00.0";
  const std::string kNic = kSwitch + "/0000:02:01.0/0000:04:00.0";
  const std::string kGpu1 = "pci0000:80/0000:80:01.0/0000:81:00.0";
  const std::filesystem::path root_;
};

std::string value(const Graph& graph, std::string_view node, std::string_view attribute) {
  const NodeId id = find(graph, node);
  return id == kNoNode
             ? fmt::format("no {}", node)
             : std::string(value_of(graph.nodes[static_cast<std::size_t>(id)], attribute));
}

const Link& uplink(const Graph& graph, std::string_view node) {
  const NodeId id = find(graph, node);
  return *find_link(graph, graph.nodes[static_cast<std::size_t>(id)].parent, id, LinkKind::pcie);
}

TEST_F(Live, TellsWhichCpusThisProcessMayUse) {
  EXPECT_EQ(allowed_cpus(root_), std::vector<int>()) << "unknown";
  put("proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-2,5\nMems:\t1");
  EXPECT_EQ(allowed_cpus(root_), (std::vector<int>{0, 1, 2, 5}));
  put("proc/self/status", "Name:\tx\nCpus_allowed_list:");
  EXPECT_EQ(allowed_cpus(root_), std::vector<int>());
}

TEST_F(Live, ReadsProcessorsAndThePciTree) {
  server();
  const Graph graph = load();
  const Summary sum = summary(graph);
  EXPECT_EQ(sum.packages, 2);
  EXPECT_EQ(sum.numa_nodes, 2);
  EXPECT_EQ(sum.cores, 3) << "two threads of one core are one core";
  EXPECT_EQ(of_kind(graph, NodeKind::l3).size(), 2U);
  EXPECT_EQ(sum.gpus, 2);
  EXPECT_EQ(sum.nics, 1);
  EXPECT_EQ(sum.pci_switches, 1);
  EXPECT_EQ(value(graph, "package0", "model"), "Made up CPU");
  EXPECT_EQ(letters(path(graph, find(graph, "gpu0"), find(graph, "nic0"))), "PIX");
  EXPECT_EQ(letters(path(graph, find(graph, "gpu0"), find(graph, "gpu1"))), "SYS");
  EXPECT_THAT(graph.notes, Contains(HasSubstr("NVML tells of this machine, not of another root")));
}

TEST_F(Live, PlansAnIdleGpuWithWhatItsSlotCanDo) {
  server();
  const Graph graph = load();
  EXPECT_NEAR(uplink(graph, "gpu0").bandwidth, 63.0e9, 0.1e9);
  EXPECT_THAT(uplink(graph, "gpu0").note, HasSubstr("idle speed"));
  EXPECT_EQ(value(graph, "gpu0", "link_speed"), "2.5 GT/s PCIe") << "what was read stays";
  EXPECT_NEAR(uplink(graph, "gpu1").bandwidth, 31.5e9, 0.1e9) << "a slot of 16 GT/s";
  EXPECT_NEAR(uplink(graph, "nic0").bandwidth, 31.5e9, 0.1e9) << "NICs do not idle";
}

TEST_F(Live, ReadsRoce) {
  server();
  netdev("ens1", kNic, "400000", "9000");
  rdma("mlx5_0", kNic, "Ethernet", "400 Gb/sec (4X NDR)", "4: ACTIVE");
  gid(kNic, "mlx5_0", 0, "IB/RoCE v1", "ens1");
  gid(kNic, "mlx5_0", 1, "RoCE v2", "ens1");
  const Graph graph = load();
  EXPECT_EQ(find(graph, "ens1"), find(graph, "mlx5_0")) << "one port, either name finds it";
  EXPECT_EQ(value(graph, "mlx5_0", "state"), "active");
  EXPECT_EQ(value(graph, "mlx5_0", "link_layer"), "Ethernet");
  EXPECT_EQ(value(graph, "mlx5_0", "gid_types"), "IB/RoCE v1, RoCE v2");
  EXPECT_EQ(value(graph, "mlx5_0", "mtu"), "9000");
  EXPECT_EQ(value(graph, "mlx5_0", "speed"), "400000");
  EXPECT_EQ(value(graph, "nic0", "firmware"), "28.39.1002");
  EXPECT_EQ(summary(graph).ports, 1);
}

TEST_F(Live, ReadsInfinibandAndFractionsOfRates) {
  server();
  netdev("ib0", kNic, "", "4092");
  rdma("mlx5_0", kNic, "InfiniBand", "2.5 Gb/sec (1X SDR)", "1: DOWN");
  const Graph graph = load();
  EXPECT_EQ(value(graph, "mlx5_0", "netdev"), "ib0") << "by the PCI function they share";
  EXPECT_EQ(value(graph, "mlx5_0", "speed"), "2500");
  EXPECT_EQ(value(graph, "mlx5_0", "state"), "down");
}

TEST_F(Live, KeepsRdmaDevicesWithoutPci) {
  server();
  rdma("rxe0", "virtual", "Ethernet", "2.5 Gb/sec (1X SDR)", "4: ACTIVE");
  const Graph graph = load();
  EXPECT_EQ(value(graph, "rxe0", "rdma"), "rxe0");
}

TEST_F(Live, SaysWhatItCouldNotLookAt) {
  const Graph graph = load();
  EXPECT_THAT(graph.notes, Contains(StartsWith("no NUMA nodes")));
  EXPECT_THAT(graph.notes, Contains(StartsWith("no PCI")));
  EXPECT_THAT(graph.notes, Contains(StartsWith("no GPU")));
  EXPECT_THAT(graph.notes, Contains(StartsWith("no RDMA device")));
  EXPECT_THAT(tree(graph, false), HasSubstr("note: no GPU"));
}

TEST_F(Live, ShowsTheNetworkOfAContainer) {
  put("sys/devices/virtual/net/eth0/operstate", "up");
  put("sys/devices/virtual/net/eth0/mtu", "1500");
  link("sys/class/net/eth0", "sys/devices/virtual/net/eth0");
  put("sys/devices/virtual/net/lo/operstate", "up");
  link("sys/class/net/lo", "sys/devices/virtual/net/lo");
  const Graph graph = load();
  EXPECT_EQ(summary(graph).nics, 1);
  EXPECT_EQ(value(graph, "nic0", "virtual"), "yes");
  EXPECT_EQ(value(graph, "eth0", "mtu"), "1500");
}

TEST_F(Live, RefusesARootWithoutSys) {
  const auto graph = load_live({"/no/such/root", ""});
  ASSERT_FALSE(graph.ok());
  EXPECT_THAT(std::string(graph.status().message()),
              HasSubstr("/no/such/root: there is no folder sys"));
}

TEST_F(Live, TakesNvlinkFromNvml) {
  server();
  const Graph graph = load(TUTTI_FAKE_NVML);
  const Path found = path(graph, find(graph, "gpu0"), find(graph, "gpu1"));
  EXPECT_EQ(letters(found), "NV2") << "links to each other come before those to the switch";
  EXPECT_DOUBLE_EQ(found.bandwidth, 2 * 25e9);
  EXPECT_EQ(summary(graph).nvlinks, 2 + 2 * 6);
  EXPECT_EQ(summary(graph).nvswitches, 1);
  EXPECT_EQ(value(graph, "gpu0", "model"), "Made up GPU");
  EXPECT_EQ(value(graph, "gpu0", "sm"), "90");
  EXPECT_EQ(value(graph, "gpu1", "uuid"), "GPU-1");
  EXPECT_THAT(graph.notes, Contains(HasSubstr("NVML has a GPU 0000:ff:00.0 that sysfs does not")));
  EXPECT_THAT(graph.notes, Contains(AllOf(HasSubstr("NVLink 9 of 0000:03:00.0 ends at"),
                                          HasSubstr("which sysfs does not show"))));
}

TEST_F(Live, SaysWhyNvmlCouldNotBeAsked) {
  server();
  EXPECT_THAT(load("no_such_library.so").notes,
              Contains(HasSubstr("NVLink was not looked at: NVML cannot be loaded: no_such_lib")));
  EXPECT_THAT(load("libm.so.6").notes, Contains(HasSubstr("libm.so.6 lacks functions")));
  EXPECT_THAT(load(TUTTI_BROKEN_NVML).notes,
              Contains(HasSubstr("NVML says: Driver/library version mismatch")));
}

}  // namespace
}  // namespace tutti::topology
