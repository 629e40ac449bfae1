// Reading files of a host, and every way in which that fails.
#include "doctor/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "doctor/pci_config.h"
#include "tools/doctor/made_up_host.h"

namespace tutti::doctor::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Host, OpensAFolderWithProcOrSys) {
  const MadeUpHost files;
  files.remove("/sys");
  const auto host = Host::open(files.root().string() + "//");
  ASSERT_TRUE(host.ok()) << host.status().message();
  EXPECT_EQ(host->root(), files.root().string());
  EXPECT_FALSE(host->is_this_host());

  files.remove("/proc");
  const auto without = Host::open(files.root().string());
  EXPECT_EQ(without.status().code(), Code::invalid_argument);
  EXPECT_THAT(std::string(without.status().message()),
              HasSubstr("has neither proc nor sys; give the folder that holds the host's proc"));
}

TEST(Host, RefusesWhatIsNoFolder) {
  for (const char* const root : {"", "/does/not/exist"}) {
    const auto host = Host::open(root);
    EXPECT_EQ(host.status().code(), Code::invalid_argument);
    EXPECT_THAT(std::string(host.status().message()), HasSubstr("is no folder; give one"));
  }
}

TEST(Host, TellsAbsentFromUnreadable) {
  const MadeUpHost files;
  files.write("/proc/number", " 42\n");
  files.write("/proc/word", "x\ty\n");
  files.folder("/proc/folder");
  const Host host = files.open();
  EXPECT_EQ(*host.number("/proc/number"), 42);
  EXPECT_EQ(host.number("/proc/word").trouble(), "/proc/word: 'x?y' is no number");
  EXPECT_TRUE(host.text("/proc/none").absent());
  EXPECT_EQ(host.text("/proc/none").trouble(), "/proc/none: no such file");
  EXPECT_TRUE(host.text("/proc/word/below").absent());
  EXPECT_EQ(host.text("/proc/folder").trouble(), "/proc/folder: is not a regular file");
  EXPECT_TRUE(host.list("/proc/none").absent());
}

// What is not there proves nothing where /proc or /sys is not mounted, or was copied in part.
TEST(Host, TellsAbsentFromNotMounted) {
  const MadeUpHost files;
  EXPECT_EQ(files.open().list("/sys/class/infiniband").trouble(),
            "/sys/class/infiniband: there is no /sys/class: it is not mounted, or was not copied");
  files.folder("/sys/class");
  EXPECT_TRUE(files.open().list("/sys/class/infiniband").absent());
}

TEST(Host, NeverWaitsAndNeverReadsMuch) {
  const MadeUpHost files;
  ASSERT_EQ(::mkfifo((files.root() / "proc/fifo").c_str(), 0600), 0);
  files.write("/proc/large", std::string((1 << 20) + 1, 'x'));
  files.link("/proc/loop", "loop");
  const Host host = files.open();
  EXPECT_EQ(host.text("/proc/fifo").trouble(), "/proc/fifo: is not a regular file");
  EXPECT_EQ(host.text("/proc/large").trouble(), "/proc/large: is larger than 1 MiB");
  EXPECT_THAT(host.text("/proc/loop").trouble(), HasSubstr("symbolic links"));
}

TEST(Host, ListsInNaturalOrderWithoutDots) {
  const MadeUpHost files;
  for (const char* const name : {"mlx5_10", "mlx5_2", ".hidden"}) {
    files.write(std::string("/sys/list/") + name, "");
  }
  EXPECT_THAT(*files.open().list("/sys/list"), ElementsAre("mlx5_2", "mlx5_10"));
}

// What tests replace by made-up answers, as the kernel gives them.
TEST(KernelProbes, AnswerForRealFolders) {
  const MadeUpHost files;
  files.folder("/dev/shm");
  files.write("/dev/file", "");
  const auto host = Host::open(files.root().string());
  ASSERT_TRUE(host.ok());
  const Look<Space> space = host->space("/dev/shm");
  ASSERT_TRUE(space.there()) << space.trouble();
  EXPECT_FALSE(space->mounted_there);
  EXPECT_GE(space->bytes, space->free_bytes);
  EXPECT_TRUE(host->space("/dev/none").absent());
  EXPECT_TRUE(host->read_write("/dev/file").ok());
  EXPECT_THAT(std::string(host->read_write("/dev/none").message()), HasSubstr("No such file"));
  EXPECT_TRUE(Host::open("/").value().space("/proc")->mounted_there);
}

TEST(KernelProbes, SayWhyThereIsNoAnswer) {
  const MadeUpHost files;
  files.folder("/dev/shm");
  Probes probes = kernel_probes();
  probes.space = [](const std::string&) -> Result<Space> {
    return error(Code::unavailable, "{}", errno_text(EACCES));
  };
  const auto host = Host::open(files.root().string(), probes);
  EXPECT_EQ(host->space("/dev/shm").trouble(), "/dev/shm: Permission denied (errno 13)");
}

TEST(PciConfig, FindsAcsBehindOtherCapabilities) {
  const auto acs = acs_control(config_with_acs(0x1d));
  ASSERT_TRUE(acs.has_value());
  EXPECT_TRUE(acs->source_validation && acs->request_redirect && acs->completion_redirect &&
              acs->upstream_forwarding && acs->redirects());
  EXPECT_FALSE(acs_control(config_with_acs(0x01))->redirects());
}

TEST(PciConfig, EndsOnBrokenLists) {
  EXPECT_FALSE(acs_control("").has_value());
  EXPECT_FALSE(acs_control(std::string(64, '\0')).has_value());
  EXPECT_FALSE(acs_control(config_with_acs(0x1d).substr(0, 0x206)).has_value());
  std::string loop(4096, '\0');
  loop[0x100] = 0x01;
  loop[0x103] = 0x10;  // the next one is this one
  EXPECT_FALSE(acs_control(loop).has_value());
  EXPECT_FALSE(acs_control(std::string(4096, '\xff')).has_value());
}

}  // namespace
}  // namespace tutti::doctor::test
