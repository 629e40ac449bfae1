// Nodes of ranks that are processes: limits, containers, and death.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "transport/fork_ranks.h"
#include "transport/slot_ring.h"

namespace tutti::transport {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Areas of the default size: 2 MiB per direction.
constexpr NodeLayout kLayout{.engine_bytes = 4096, .link_bytes = link_area_bytes(kSlotLanes)};

Config shm_only() {
  Config config;
  config.transports = {"shm"};
  return config;
}

void limit(decltype(RLIMIT_FSIZE) resource, rlim_t value) {
  rlimit limits{};
  ASSERT_EQ(::getrlimit(resource, &limits), 0);
  limits.rlim_cur = value;
  ASSERT_EQ(::setrlimit(resource, &limits), 0);
}

// Leaves this process `count` more descriptors: fills the gaps among those it has, because the
// limit is on their numbers.
void leave_descriptors(rlim_t count) {
  int highest = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    highest = std::max(highest, std::stoi(entry.path().filename()));
  }
  int filler = 0;
  while (filler < highest) filler = ::dup(STDERR_FILENO);
  limit(RLIMIT_NOFILE, static_cast<rlim_t>(filler) + 1 + count);
}

std::set<std::string> named_shared_memory() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    names.insert(entry.path().filename());
  }
  return names;
}

// Meets the other ranks once more.
void expect_all_here(Bootstrap& bootstrap) {
  const std::array<std::byte, 1> mine{};
  std::vector<std::byte> all(static_cast<std::size_t>(bootstrap.size()));
  const Status met = bootstrap.all_gather(mine, all);
  EXPECT_TRUE(met.ok()) << met.message();
}

TEST(NodeProcessTest, AFileSizeLimitOnTheLowestRankLeavesEveryoneAlone) {
  const auto statuses = fork_ranks(3, [](Bootstrap& bootstrap) {
    if (bootstrap.rank() == 0) limit(RLIMIT_FSIZE, 8192);
    const auto context = make_end_context(bootstrap, shm_only(), kLayout);
    ASSERT_TRUE(context.ok()) << context.status().message();
    EXPECT_THAT(context->node->ranks(), ElementsAre(bootstrap.rank()));
    EXPECT_THAT(context->node->reason(),
                HasSubstr("over this process's file size limit of 8192 bytes; raise it (ulimit -f "
                          "unlimited)"));
  });
  EXPECT_THAT(statuses, Each(0));
}

TEST(NodeProcessTest, AFileSizeLimitOnAnotherRankLeavesThatOneAlone) {
  const auto statuses = fork_ranks(3, [](Bootstrap& bootstrap) {
    if (bootstrap.rank() == 1) limit(RLIMIT_FSIZE, 8192);
    const auto context = make_end_context(bootstrap, shm_only(), kLayout);
    ASSERT_TRUE(context.ok()) << context.status().message();
    if (bootstrap.rank() == 1) {
      EXPECT_THAT(context->node->ranks(), ElementsAre(1));
    } else {
      EXPECT_THAT(context->node->ranks(), ElementsAre(0, 2));
    }
    EXPECT_THAT(context->node->reason(), HasSubstr("ulimit -f"));
  });
  EXPECT_THAT(statuses, Each(0));
}

TEST(NodeProcessTest, ALimitOfOpenFilesLeavesTheRankAloneAtOnce) {
  const auto statuses = fork_ranks(3, [](Bootstrap& bootstrap) {
    // A few descriptors are left, though not enough: the switchboard is open by now.
    const auto tighten = [](EndContext& end) {
      if (end.rank == 1) leave_descriptors(5);
    };
    const auto start = Clock::now();
    const auto context = make_end_context(bootstrap, shm_only(), kLayout, {}, tighten);
    ASSERT_TRUE(context.ok()) << context.status().message();
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(8)) << "nobody waits for who cannot come";
    EXPECT_THAT(context->node->ranks(), bootstrap.rank() == 1
                                            ? ::testing::Matcher<std::vector<int>>(ElementsAre(1))
                                            : ElementsAre(0, 2));
    EXPECT_THAT(context->node->reason(),
                HasSubstr("sharing memory takes 10 more open files, but only 5 could be had"));
    EXPECT_THAT(context->node->reason(), HasSubstr("ulimit -n"));
  });
  EXPECT_THAT(statuses, Each(0));
}

#ifndef TUTTI_SANITIZE  // the checks of UBSan need descriptors themselves
TEST(NodeProcessTest, WithoutAnyDescriptorTheErrorSaysWhatToRaise) {
  const auto statuses = fork_ranks(2, [](Bootstrap& bootstrap) {
    const auto tighten = [](EndContext& end) {
      if (end.rank == 1) limit(RLIMIT_NOFILE, 0);
    };
    const auto context = make_end_context(bootstrap, shm_only(), kLayout, {}, tighten);
    EXPECT_EQ(context.ok(), bootstrap.rank() == 0);
    if (!context.ok()) {
      EXPECT_EQ(context.status().code(), Code::unavailable);
      EXPECT_THAT(std::string(context.status().message()),
                  AllOf(HasSubstr("cannot create an eventfd"), HasSubstr("ulimit -n")));
    }
  });
  EXPECT_THAT(statuses, Each(0));
}
#endif

TEST(NodeProcessTest, AContainerWithItsOwnNetworkIsApartAndSaysSo) {
  const auto statuses = fork_ranks(3, [](Bootstrap& bootstrap) {
    bool apart = false;
    const auto leave = [&](EndContext& end) {
      if (end.rank == 2) apart = ::unshare(CLONE_NEWNET) == 0;
    };
    const auto context = make_end_context(bootstrap, shm_only(), kLayout, {}, leave);
    ASSERT_TRUE(context.ok()) << context.status().message();
    if (bootstrap.rank() == 2 && !apart) ::_exit(77);
    if (context->node->ranks().size() == 3) return;  // no privilege to make a namespace
    EXPECT_THAT(context->node->ranks(), bootstrap.rank() == 2
                                            ? ::testing::Matcher<std::vector<int>>(ElementsAre(2))
                                            : ElementsAre(0, 1));
    EXPECT_THAT(context->node->reason(), AllOf(HasSubstr("another container (network namespace)"),
                                               HasSubstr("--network=host")));
  });
  if (WEXITSTATUS(statuses[2]) == 77) GTEST_SKIP() << "no permission to make a network namespace";
  EXPECT_THAT(statuses, Each(0));
}

TEST(NodeProcessTest, ATinyDevShmDoesNotMatter) {
  const auto statuses = fork_ranks(2, [](Bootstrap& bootstrap) {
    // Whoever is not root may still do this in a user namespace of his own.
    const int flags = CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
    const bool tiny = ::unshare(flags) == 0 &&
                      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k") == 0;
    const auto context = make_end_context(bootstrap, shm_only(), kLayout);
    ASSERT_TRUE(context.ok()) << context.status().message();
    EXPECT_EQ(context->node->ranks().size(), 2U);
    for (const auto& [from, to] : {std::pair(0, 1), std::pair(1, 0)}) {
      const auto area = context->node->link_area(from, to);
      ASSERT_TRUE(area.ok()) << area.status().message();
      if (from == bootstrap.rank()) std::ranges::fill(*area, std::byte{1});
    }
    expect_all_here(bootstrap);
    EXPECT_THAT(named_shared_memory(),
                AnyOf(IsEmpty(), ::testing::Truly([&](const auto&) { return !tiny; })));
    if (!tiny) ::_exit(77);
  });
  if (WEXITSTATUS(statuses[0]) == 77) GTEST_SKIP() << "no permission to mount a small /dev/shm";
  EXPECT_THAT(statuses, Each(0));
}

TEST(NodeProcessTest, AKilledRankLeavesNothingAndHarmsNobody) {
  const std::set<std::string> before = named_shared_memory();
  const auto statuses = fork_ranks(3, [](Bootstrap& bootstrap) {
    const auto context = make_end_context(bootstrap, shm_only(), kLayout);
    ASSERT_TRUE(context.ok()) << context.status().message();
    Node& node = *context->node;
    ASSERT_EQ(node.ranks().size(), 3U);
    const auto to_one = node.link_area(bootstrap.rank(), 1);
    ASSERT_TRUE(to_one.ok());
    expect_all_here(bootstrap);
    // The lowest rank made the memory: the others keep it when that one goes.
    if (bootstrap.rank() == 0) ::raise(SIGKILL);
    node.ring(0);
    std::ranges::fill(*to_one, std::byte{1});
    const auto engine = node.engine_area(0);
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    std::ranges::fill(*engine, std::byte{1});
  });
  ASSERT_TRUE(WIFSIGNALED(statuses[0]));
  EXPECT_EQ(statuses[1], 0);
  EXPECT_EQ(statuses[2], 0);
  EXPECT_EQ(named_shared_memory(), before);
}

}  // namespace
}  // namespace tutti::transport
