// Once a shape has run, an operation over shared memory makes no allocation and no system call of
// its own; a block of 8 KiB or more may be read from the peer's process by one. The kernel proves
// the second: a seccomp filter ends the process at any call but those of a wait (yielding, sleeping
// on the doorbell, ringing it) and, for those blocks, process_vm_readv. Where threads help a rank,
// long operations may wake them, too (futex).

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "support/allocations.h"
#include "support/seccomp.h"
#include "support/world.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

constexpr std::int64_t kSmallCounts[] = {1, 2, 100, 2000};
constexpr std::int64_t kCounts[] = {1, 2, 100, 5000, 100'000, 1'000'000};

using Data = std::vector<float>;
constexpr DataType kType = DataType::float32;

// Of three ranks: every other block is empty, the own ones too.
Status uneven_all_to_all(Communicator& c, Data& a, Data& b, std::int64_t block) {
  std::array<std::int64_t, 3> counts{};
  for (std::size_t peer = 0; peer < 3; ++peer) {
    counts[peer] = (static_cast<std::size_t>(c.rank()) + peer) % 2 == 1 ? block : 0;
  }
  return c.all_to_all_v(a.data(), {counts}, b.data(), {counts}, kType);
}

// All collectives and a ring of sends, of messages of `count` elements or blocks of a few less.
std::array<Status, 12> each_collective(Communicator& c, Data& a, Data& b, std::int64_t count) {
  const std::int64_t block = (count + 2) / 3;
  const std::array<std::int64_t, 3> counts{block, block / 2, block / 3};
  return {
      c.all_reduce(a.data(), a.data(), count, kType, ReduceOp::max),
      c.broadcast(a.data(), a.data(), count, kType, 1),
      c.reduce(a.data(), b.data(), count, kType, ReduceOp::max, 2),
      c.all_gather(a.data(), b.data(), block, kType),
      c.reduce_scatter(a.data(), b.data(), block, kType, ReduceOp::max),
      c.all_to_all(a.data(), b.data(), block, kType),
      c.gather(a.data(), b.data(), block, kType, 0),
      c.scatter(a.data(), b.data(), block, kType, 0),
      c.all_gather_v(a.data(), b.data(), {counts}, kType),
      uneven_all_to_all(c, a, b, block),
      c.send_recv(a.data(), count, (c.rank() + 1) % 3, b.data(), count, (c.rank() + 2) % 3, kType),
      c.barrier()};
}

std::string calls(Communicator& communicator, Data& a, Data& b,
                  std::span<const std::int64_t> counts) {
  for (const std::int64_t count : counts) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      const auto statuses = each_collective(communicator, a, b, count);
      for (const Status& status : statuses) {
        if (!status.ok()) return std::string(status.message());
      }
    }
  }
  return {};
}

// Tells which system call it was, and ends the process.
void forbidden(int, siginfo_t* info, void*) {
  std::string text = "system call " + std::to_string(info->si_syscall);
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) ::_exit(6);
  ::_exit(7);
}

constexpr unsigned kWaiting[] = {SYS_sched_yield, SYS_poll,           SYS_ppoll,      SYS_write,
                                 SYS_read,        SYS_exit,           SYS_exit_group, SYS_madvise,
                                 SYS_munmap,      SYS_rt_sigprocmask, SYS_membarrier};

// From here on this thread may only compute, wait, end, and make the calls besides.
bool allow_only_waiting(std::vector<unsigned> besides) {
  struct sigaction action {};
  action.sa_sigaction = forbidden;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSYS, &action, nullptr);
  besides.insert(besides.end(), std::begin(kWaiting), std::end(kWaiting));
  return allow_system_calls(besides);
}

// On a thread of its own, which keeps its filter.
std::string run_filtered(Communicator& communicator, Data& a, Data& b,
                         std::span<const std::int64_t> counts, std::vector<unsigned> besides) {
  std::string outcome;
  std::thread([&] {
    if (!allow_only_waiting(std::move(besides))) {
      outcome = "no seccomp";
      return;
    }
    count_allocations(true);
    outcome = calls(communicator, a, b, counts);
    count_allocations(false);
  }).join();
  return outcome;
}

std::string run_all(Communicator& communicator, std::vector<unsigned> for_long) {
  Data a(1'000'002, static_cast<float>(communicator.rank()));
  Data b(1'000'002);
  std::string outcome = calls(communicator, a, b, kCounts);  // warms every shape up
  if (outcome.empty()) outcome = run_filtered(communicator, a, b, kSmallCounts, {});
  if (outcome.empty()) {
    outcome = run_filtered(communicator, a, b, kCounts, std::move(for_long));
  }
  if (!outcome.empty()) return outcome;
  // Nobody leaves, which is news to the others, before all have finished.
  if (Status status = communicator.barrier(); !status.ok()) return std::string(status.message());
  if (allocations() != 0) return std::to_string(allocations()) + " allocations";
  return outcome;
}

void expect_quiet(const Config& config, const std::vector<unsigned>& for_long) {
  const auto body = [&](Communicator& communicator) { return run_all(communicator, for_long); };
  for (const Exit& exit : run_processes(3, config, body)) {
    if (exit.output == "no seccomp") GTEST_SKIP() << "this kernel refuses seccomp filters";
    EXPECT_EQ(exit.status, 0) << "an operation made the system call printed above";
    EXPECT_EQ(exit.output, "");
  }
}

class Quiet : public testing::TestWithParam<const char*> {};

TEST_P(Quiet, NoAllocationAndNoSystemCallOnceAShapeHasRun) {
  Config config = quick_config();
  config.transports = {"shm"};
  config.algorithm = GetParam();
  config.threads = 1;
  expect_quiet(config, {SYS_process_vm_readv});
}

TEST(QuietThreads, AreWokenByLongOperationsAlone) {
  Config config = quick_config();
  config.transports = {"shm"};
  config.threads = 2;
  expect_quiet(config, {SYS_process_vm_readv, SYS_futex});
}

INSTANTIATE_TEST_SUITE_P(Algorithms, Quiet,
                         testing::Values("", "all_reduce:ring,broadcast:chain",
                                         "all_reduce:halving_doubling,broadcast:binomial"),
                         [](const auto& info) { return "case" + std::to_string(info.index); });

}  // namespace
}  // namespace tutti::test
