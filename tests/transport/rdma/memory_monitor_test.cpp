#include "transport/rdma/memory_monitor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "transport/rdma/pages.h"

namespace tutti::transport::rdma {
namespace {

using testing::Contains;
using testing::IsEmpty;

class MemoryMonitorTest : public testing::Test, protected MemoryMonitor::Listener {
 protected:
  void SetUp() override {
    gone_.reserve(64);
    auto monitor = MemoryMonitor::create(*this);
    if (!monitor.ok()) GTEST_SKIP() << monitor.status().message();
    monitor_ = *std::move(monitor);
  }
  void TearDown() override { monitor_.reset(); }  // while the listener is whole
  void gone(PageRange range) noexcept override { gone_.push_back(range); }

  static PageRange range_of(const std::byte* data, std::size_t bytes) {
    const auto begin = reinterpret_cast<std::uintptr_t>(data);
    return {begin, begin + bytes};
  }
  static PageRange range_of(const Pages& pages) { return range_of(pages.data(), pages.bytes()); }
  // Everything that is known by now.
  std::vector<PageRange> reported() {
    const auto held = monitor_->lock();
    EXPECT_TRUE(monitor_->settle());
    return gone_;
  }

  std::vector<PageRange> gone_;  // guarded by the monitor's lock
  std::unique_ptr<MemoryMonitor> monitor_;
};

TEST_F(MemoryMonitorTest, ReportsUnmapping) {
  Pages pages(4);
  const PageRange range = range_of(pages);
  ASSERT_TRUE(monitor_->watch(range));
  EXPECT_THAT(reported(), IsEmpty());
  pages.unmap();  // returns although nobody asks
  EXPECT_THAT(reported(), Contains(range));
}

TEST_F(MemoryMonitorTest, ReportsWhatIsMappedOver) {
  Pages pages(2);
  ASSERT_TRUE(monitor_->watch(range_of(pages)));
  ASSERT_EQ(::mmap(pages.page(1), page_bytes(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                   -1, 0),
            pages.page(1));
  EXPECT_THAT(reported(), Contains(range_of(pages.page(1), page_bytes())));
  monitor_->unwatch(range_of(pages.page(0), page_bytes()));
}

TEST_F(MemoryMonitorTest, ReportsDiscarding) {
  Pages pages(4);
  ASSERT_TRUE(monitor_->watch(range_of(pages)));
  ASSERT_EQ(::madvise(pages.page(1), page_bytes(), MADV_DONTNEED), 0);
  EXPECT_THAT(reported(), Contains(range_of(pages.page(1), page_bytes())));
  monitor_->unwatch(range_of(pages));
}

TEST_F(MemoryMonitorTest, ReportsMovingAndForgetsTheNewPlace) {
  Pages pages(4);
  const PageRange before = range_of(pages);
  ASSERT_TRUE(monitor_->watch(before));
  // Room that is surely elsewhere, so that it moves.
  Pages room(4);
  void* moved = ::mremap(pages.data(), pages.bytes(), room.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED,
                         room.data());
  ASSERT_EQ(moved, room.data());
  pages.disown();
  EXPECT_THAT(reported(), Contains(before));
  const std::size_t count = reported().size();
  room.unmap();
  EXPECT_EQ(reported().size(), count);
}

TEST_F(MemoryMonitorTest, SaysNothingOfMemoryThatIsNotWatched) {
  Pages pages(4);
  ASSERT_TRUE(monitor_->watch(range_of(pages)));
  monitor_->unwatch(range_of(pages));
  pages.unmap();
  EXPECT_THAT(reported(), IsEmpty());
}

TEST_F(MemoryMonitorTest, ReadingAndWritingGoOnAsBefore) {
  Pages pages(4);
  ASSERT_TRUE(monitor_->watch(range_of(pages)));
  std::memset(pages.data(), 7, pages.bytes());
  EXPECT_EQ(pages.page(3)[5], std::byte{7});
  ASSERT_EQ(::mprotect(pages.data(), pages.bytes(), PROT_READ), 0);
  EXPECT_THAT(reported(), IsEmpty());
  monitor_->unwatch(range_of(pages));
}

TEST_F(MemoryMonitorTest, CannotWatchWhatIsNotThereOrAnothers) {
  Pages pages(4);
  const PageRange range = range_of(pages);
  ASSERT_TRUE(monitor_->watch(range));
  ASSERT_TRUE(monitor_->watch(range)) << "its own, again";
  auto other = MemoryMonitor::create(*this);
  ASSERT_TRUE(other.ok()) << other.status().message();
  EXPECT_FALSE((*other)->watch(range));
  monitor_->unwatch(range);
  EXPECT_FALSE(monitor_->watch({page_bytes(), 2 * page_bytes()})) << "nothing is ever mapped there";

  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  void* mapped = ::mmap(nullptr, page_bytes(), PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);
  EXPECT_FALSE(monitor_->watch(range_of(static_cast<std::byte*>(mapped), page_bytes())));
  ::munmap(mapped, page_bytes());
}

TEST_F(MemoryMonitorTest, TellsPrivateMemoryFromShared) {
  Pages pages(600);  // more than one piece of the page map
  EXPECT_TRUE(monitor_->is_private(range_of(pages)));
  void* shared = ::mmap(pages.page(599), page_bytes(), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  ASSERT_EQ(shared, pages.page(599));
  *pages.page(599) = std::byte{1};
  EXPECT_FALSE(monitor_->is_private(range_of(pages)));
  EXPECT_TRUE(monitor_->is_private(range_of(pages.data(), 599 * page_bytes())));
}

TEST_F(MemoryMonitorTest, LeavesNothingBehind) {
  monitor_.reset();
  const auto fds = count_own("fd");
  const auto threads = count_own("task");
  auto monitor = MemoryMonitor::create(*this);
  ASSERT_TRUE(monitor.ok()) << monitor.status().message();
  EXPECT_GT(count_own("fd"), fds);
  monitor->reset();
  EXPECT_EQ(count_own("fd"), fds);
  EXPECT_EQ(count_own("task"), threads);
}

// The exit code of a child in which userfaultfd fails with `number`: 0 when the message has `text`.
int message_when_refused(int number, const char* text) {
  const pid_t child = ::fork();
  if (child == 0) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(number)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{4, filter};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      ::_exit(77);
    }
    const auto opened = open_userfaultfd();
    const bool right = !opened.ok() && opened.status().code() == Code::unavailable &&
                       opened.status().message().find(text) != std::string_view::npos;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(OpenUserfaultfd, SaysWhatToDoWhereItIsRefused) {
  if (message_when_refused(EPERM,
                           "Operation not permitted (errno 1); allow the system call in "
                           "the container's seccomp profile") == 77) {
    GTEST_SKIP() << "seccomp filters cannot be installed here";
  }
  EXPECT_EQ(message_when_refused(EPERM, "allow the system call in the container's seccomp"), 0);
  EXPECT_EQ(message_when_refused(ENOSYS, "the kernel lacks it (CONFIG_USERFAULTFD)"), 0);
  EXPECT_EQ(message_when_refused(EINVAL, "Linux 5.11 or newer can"), 0);
  EXPECT_EQ(message_when_refused(EMFILE,
                                 "Too many open files (errno 24); raise the limit of open "
                                 "descriptors (`ulimit -n`)"),
            0);
}

TEST(OpenUserfaultfd, FailureIsTheMonitors) {
  struct Deaf : MemoryMonitor::Listener {
    void gone(PageRange) noexcept override {}
  } listener;
  const auto monitor = MemoryMonitor::create(
      listener, [] { return Result<Fd>(Status::error(Code::unavailable, "not today")); });
  ASSERT_FALSE(monitor.ok());
  EXPECT_EQ(monitor.status().message(), "not today");
}

}  // namespace
}  // namespace tutti::transport::rdma
