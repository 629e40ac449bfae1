#include "base/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace tutti {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Cgroups memory_groups(std::string_view memberships, const std::set<std::string>& folders) {
  return cgroups_of(memberships, "memory",
                    [&](const std::string& path) { return folders.contains(path); });
}

TEST(Cgroup, OfVersionTwoAreThoseOnTheWayOut) {
  const auto groups = memory_groups(
      "0::/job/step\n",
      {"/sys/fs/cgroup", "/sys/fs/cgroup/job", "/sys/fs/cgroup/job/step", "/sys/fs/cgroup/other"});
  EXPECT_THAT(groups.folders,
              ElementsAre("/sys/fs/cgroup/job/step", "/sys/fs/cgroup/job", "/sys/fs/cgroup"));
  EXPECT_FALSE(groups.unmounted);
}

TEST(Cgroup, OfVersionOneAreBelowTheController) {
  const std::string all = "4:cpu,memory:/docker/1\n3:pids:/\n0::/\n";
  EXPECT_THAT(memory_groups(all, {"/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"}).folders,
              ElementsAre("/sys/fs/cgroup/memory"))
      << "a container that reads the host's path";
  EXPECT_THAT(
      memory_groups(all, {"/sys/fs/cgroup/cpu,memory", "/sys/fs/cgroup/cpu,memory/docker"}).folders,
      ElementsAre("/sys/fs/cgroup/cpu,memory/docker", "/sys/fs/cgroup/cpu,memory"));
}

TEST(Cgroup, VersionTwoBesideVersionOneHasAFolderOfItsOwn) {
  EXPECT_THAT(
      memory_groups("3:pids:/\n0::/\n", {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}).folders,
      ElementsAre("/sys/fs/cgroup/unified"));
}

TEST(Cgroup, ThatAreNotSeenAreSaid) {
  EXPECT_TRUE(memory_groups("0::/job\n", {}).unmounted);
  const auto none = memory_groups("", {});
  EXPECT_FALSE(none.unmounted);
  EXPECT_THAT(none.folders, IsEmpty());
  for (const char* line : {"nonsense", "1:memory", "1:memory:relative"}) {
    const auto bad = memory_groups(std::string("0::/\n") + line + "\n", {"/sys/fs/cgroup"});
    EXPECT_EQ(bad.bad_line, line);
    EXPECT_THAT(bad.folders, IsEmpty());
  }
}

}  // namespace
}  // namespace tutti
