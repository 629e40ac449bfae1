// Reading another process's memory, and what it says when that cannot be.
#include "transport/process_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

namespace tutti::transport {
namespace {

using testing::HasSubstr;

std::uint64_t address(const void* data) {
  return reinterpret_cast<std::uint64_t>(data);
}

// A process that sleeps, with a copy of this one's memory, until the object goes.
class Sleeper {
 public:
  Sleeper() : pid_(::fork()) {
    if (pid_ == 0) {
      for (;;) ::pause();
    }
  }
  ~Sleeper() { end(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  pid_t pid() const { return pid_; }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_;
};

TEST(ProcessMemory, ReadsAcrossPages) {
  std::vector<std::uint32_t> values(100'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint32_t>(i * 7);
  const Sleeper other;
  const std::vector<std::uint32_t> expected = values;
  std::fill(values.begin(), values.end(), 0);  // here, not there
  std::vector<std::uint32_t> got(values.size() - 3);
  const Status status = read_process_memory(other.pid(), got.data(), address(&values[3]),
                                            got.size() * sizeof(got[0]));
  if (status.code() == Code::unavailable) GTEST_SKIP() << status.message();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(std::equal(got.begin(), got.end(), expected.begin() + 3));
}

TEST(ProcessMemory, SaysThatTheMemoryIsNotThere) {
  constexpr std::size_t kPage = 4096;
  void* const pages =
      ::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  ::munmap(static_cast<std::byte*>(pages) + kPage, kPage);
  const Sleeper other;
  std::vector<std::byte> got(2 * kPage);
  const Status status = read_process_memory(other.pid(), got.data(), address(pages), got.size());
  ::munmap(pages, kPage);
  EXPECT_EQ(status.code(), Code::unavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("bytes of process " + std::to_string(other.pid()) + ": "));
}

TEST(ProcessMemory, SaysThatTheProcessIsGone) {
  Sleeper other;
  const pid_t pid = other.pid();
  other.end();
  int value = 0;
  const Status status = read_process_memory(pid, &value, address(&value), sizeof(value));
  EXPECT_EQ(status.code(), Code::peer_failed);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cannot read 4 bytes of process " + std::to_string(pid) +
                        ": No such process (errno 3)"));
}

}  // namespace
}  // namespace tutti::transport
