// PCI Express: each check with the fault, without, and with broken files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// The first socket: root port 17:00.0, switch 18:00.0 with ports 19:00.0 and 19:01.0, GPU
// 1a:00.0, NIC 1b:00.0. The second one is the same at 97 and above.
std::string pci(std::string_view address, std::string_view file) {
  return "/sys/bus/pci/devices/0000:" + std::string(address) + "/" + std::string(file);
}

class PciChecks : public testing::Test {
 protected:
  PciChecks() { host_.make_healthy(); }
  MadeUpHost host_;
};

TEST_F(PciChecks, Width) {
  host_.write(pci("1b:00.0", "current_link_width"), "8\n");
  EXPECT_THAT(only_finding(host_.check("T-PCI-WIDTH")),
              AllOf(StartsWith("warning mlx5_0 (0000:1b:00.0): its PCI Express link has x8 of x16 "
                               "lanes (port 0000:19:01.0)"),
                    HasSubstr("| reseat the card")));
  // A slot of x8 is how the machine was built.
  host_.write(pci("19:01.0", "max_link_width"), "8\n");
  EXPECT_THAT(only_finding(host_.check("T-PCI-WIDTH")),
              AllOf(StartsWith("note mlx5_0 (0000:1b:00.0): could do x16, but its slot (port "
                               "0000:19:01.0) only x8"),
                    HasSubstr("| a better slot")));
}

TEST_F(PciChecks, WidthOfASwitch) {
  host_.write(pci("18:00.0", "current_link_width"), "4\n");
  EXPECT_THAT(only_finding(host_.check("T-PCI-WIDTH")),
              StartsWith("warning switch 0000:18:00.0: its PCI Express link has x4 of x16 lanes "
                         "(port 0000:17:00.0)"));
}

TEST_F(PciChecks, Speed) {
  host_.write(pci("9b:00.0", "current_link_speed"), "8.0 GT/s PCIe\n");
  EXPECT_THAT(only_finding(host_.check("T-PCI-SPEED")),
              AllOf(StartsWith("warning mlx5_1 (0000:9b:00.0): its PCI Express link runs at 8 GT/s "
                               "of 32 GT/s (port 0000:99:01.0)"),
                    HasSubstr("| reseat the card")));
}

TEST_F(PciChecks, SpeedOfAnIdleGpuIsANote) {
  host_.write(pci("1a:00.0", "current_link_speed"), "2.5 GT/s PCIe\n");
  EXPECT_THAT(
      only_finding(host_.check("T-PCI-SPEED")),
      AllOf(StartsWith("note GPU 0000:1a:00.0: its PCI Express link runs at 2.5 GT/s of 32"),
            HasSubstr("GPUs that have nothing to do lower it"),
            HasSubstr("| look again while a job runs on it")));
}

TEST_F(PciChecks, LinksThatTellNothing) {
  host_.write(pci("1a:00.0", "max_link_width"), "255\n");
  EXPECT_THAT(only_unseen(host_.check("T-PCI-WIDTH")),
              HasSubstr("'255' tells nothing (a virtual machine hides the link)"));
  host_.write(pci("1a:00.0", "current_link_speed"), "Unknown\n");
  EXPECT_THAT(only_unseen(host_.check("T-PCI-SPEED")), HasSubstr("'Unknown' tells nothing"));
}

// Virtual functions and further functions of a card have no link of their own.
TEST_F(PciChecks, OneLinkForEachCard) {
  host_.write("/sys/bus/pci/devices/0000:1b:00.1/class", "0x020000\n");
  host_.write("/sys/bus/pci/devices/0000:1b:00.1/vendor", "0x15b3\n");
  host_.write("/sys/bus/pci/devices/0000:1b:00.1/current_link_width", "1\n");
  host_.write("/sys/bus/pci/devices/0000:1c:00.2/class", "0x020000\n");
  host_.write("/sys/bus/pci/devices/0000:1c:00.2/vendor", "0x15b3\n");
  host_.write("/sys/bus/pci/devices/0000:1c:00.2/current_link_width", "1\n");
  host_.folder("/sys/bus/pci/devices/0000:1c:00.2/physfn");
  EXPECT_EQ(host_.check("T-PCI-WIDTH").state(), State::clear);
}

// A virtual machine that shows devices without anything above them, and none of their links.
TEST_F(PciChecks, FlatVirtualMachine) {
  host_.remove("/sys/bus/pci");
  for (const char* const address : {"00:04.0", "00:05.0"}) {
    host_.write(pci(address, "class"), "0x030200\n");
    host_.write(pci(address, "vendor"), "0x10de\n");
  }
  EXPECT_EQ(host_.check("T-PCI-WIDTH").nothing_here,
            "no GPU or NIC with a PCI Express link is visible");
  EXPECT_EQ(host_.check("T-ACS").nothing_here,
            "no bridge above the GPUs is visible (a virtual machine hides them)");
  EXPECT_EQ(host_.check("T-IOMMU").nothing_here, "no IOMMU is on for the GPUs and RDMA NICs");
  EXPECT_EQ(host_.check("T-GPUDIRECT").nothing_here, "no GPU with an RDMA NIC beside it");
  host_.remove("/sys/bus/pci/devices/0000:00:05.0");
  EXPECT_EQ(host_.check("T-IOMMU").nothing_here, "no RDMA NIC and no two GPUs on a PCI bus");
}

TEST_F(PciChecks, BrokenClass) {
  host_.write(pci("1a:00.0", "class"), "gpu\n");
  EXPECT_THAT(only_unseen(host_.check("T-ACS")), HasSubstr("1a:00.0/class: 'gpu' is no number"));
}

TEST_F(PciChecks, Acs) {
  host_.write(pci("19:00.0", "config"), config_with_acs(0x1d));
  host_.write(pci("99:01.0", "config"), config_with_acs(0x04));
  EXPECT_THAT(only_finding(host_.check("T-ACS")),
              AllOf(StartsWith("warning 0000:19:00.0, 0000:99:01.0: ACS of 2 of 8 bridges"),
                    HasSubstr("ECAP_ACS+6.w=0000")));
  // Source validation alone sends nothing upwards.
  host_.write(pci("19:00.0", "config"), config_with_acs(0x01));
  host_.write(pci("99:01.0", "config"), config_with_acs(0));
  EXPECT_EQ(host_.check("T-ACS").state(), State::clear);
}

TEST_F(PciChecks, AcsNeedsRoot) {
  host_.write(pci("19:00.0", "config"), config_with_acs(0x1d).substr(0, 64));
  EXPECT_EQ(only_unseen(host_.check("T-ACS")),
            "/sys/bus/pci/devices/0000:19:00.0/config: only 64 bytes are readable; run as root");
}

TEST_F(PciChecks, AcsWithoutGpus) {
  host_.write(pci("1a:00.0", "vendor"), "0x1a03\n");  // the display of a management chip
  host_.write(pci("9a:00.0", "vendor"), "0x1a03\n");
  EXPECT_THAT(host_.check("T-ACS").nothing_here, StartsWith("no GPU with another GPU"));
}

TEST_F(PciChecks, Iommu) {
  host_.write("/sys/kernel/iommu_groups/1b/type", "DMA-FQ\n");
  EXPECT_THAT(only_finding(host_.check("T-IOMMU")),
              AllOf(StartsWith("warning mlx5_0 (0000:1b:00.0): the IOMMU translates the addresses "
                               "of 1 of 4 GPUs and RDMA NICs"),
                    HasSubstr("| iommu=pt on the kernel's command line")));
  host_.write("/sys/kernel/iommu_groups/1b/type", "magic\n");
  EXPECT_THAT(only_unseen(host_.check("T-IOMMU")), HasSubstr("'magic' is no type of a group"));
}

TEST_F(PciChecks, GpuDirectOfNvidia) {
  host_.remove("/sys/module/nvidia_peermem");
  EXPECT_THAT(only_finding(host_.check("T-GPUDIRECT")),
              AllOf(StartsWith("warning NVIDIA GPUs: neither the module nvidia_peermem nor"),
                    HasSubstr("| `modprobe nvidia-peermem`")));
  host_.write("/proc/driver/nvidia/version",
              "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03\n");
  EXPECT_EQ(host_.check("T-GPUDIRECT").state(), State::clear);
  host_.write("/proc/driver/nvidia/version", "?\n");
  EXPECT_THAT(only_unseen(host_.check("T-GPUDIRECT")), HasSubstr("is no version of NVIDIA's"));
  host_.remove("/proc/driver/nvidia");
  EXPECT_THAT(only_unseen(host_.check("T-GPUDIRECT")),
              HasSubstr("NVIDIA's driver is not loaded, or hidden from this container"));
}

TEST_F(PciChecks, GpuDirectOfAmd) {
  for (const char* const gpu : {"1a:00.0", "9a:00.0"}) {
    host_.write(pci(gpu, "vendor"), "0x1002\n");
    host_.write(pci(gpu, "class"), "0x038000\n");
  }
  EXPECT_EQ(only_unseen(host_.check("T-GPUDIRECT")), "/boot/config-6.1.0-13-amd64: no such file");
  host_.write("/boot/config-6.1.0-13-amd64", "CONFIG_PCI_P2PDMA=y\n");
  EXPECT_THAT(only_finding(host_.check("T-GPUDIRECT")),
              AllOf(StartsWith("warning AMD GPUs: the kernel was built without "
                               "CONFIG_DMABUF_MOVE_NOTIFY=y"),
                    HasSubstr("| a kernel with these options")));
  host_.write("/boot/config-6.1.0-13-amd64", "CONFIG_PCI_P2PDMA=y\nCONFIG_DMABUF_MOVE_NOTIFY=y\n");
  EXPECT_EQ(host_.check("T-GPUDIRECT").state(), State::clear);
  host_.remove("/boot");
  host_.folder("/sys/kernel/mm/memory_peers/amdkfd");
  EXPECT_EQ(host_.check("T-GPUDIRECT").state(), State::clear);
}

}  // namespace
}  // namespace tutti::doctor::test
