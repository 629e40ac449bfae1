// Once a shape has run, an operation over shared memory makes no allocation and no system call of
// its own. The kernel proves the second: a seccomp filter ends the process at any call but those of
// a wait (yielding, sleeping on the doorbell, ringing it).

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "support/allocations.h"
#include "support/world.h"
#include "tutti/communicator.h"

namespace tutti::test {
namespace {

constexpr std::int64_t kCounts[] = {1, 2, 100, 5000, 100'000, 1'000'000};

std::string calls(Communicator& communicator, std::vector<float>& data) {
  for (const std::int64_t count : kCounts) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      Status status = communicator.all_reduce(data.data(), data.data(), count, DataType::float32,
                                              ReduceOp::max);
      if (status.ok()) {
        status = communicator.broadcast(data.data(), data.data(), count, DataType::float32, 1);
      }
      if (!status.ok()) return std::string(status.message());
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

// From here on this thread may only compute, wait and end.
bool allow_only_waiting() {
  struct sigaction action {};
  action.sa_sigaction = forbidden;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSYS, &action, nullptr);
  const unsigned allowed[] = {SYS_sched_yield, SYS_poll,          SYS_ppoll,      SYS_write,
                              SYS_read,        SYS_exit,          SYS_exit_group, SYS_madvise,
                              SYS_munmap,      SYS_rt_sigprocmask};
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const unsigned number : allowed) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

std::string run_filtered(Communicator& communicator) {
  std::vector<float> data(1'000'000, static_cast<float>(communicator.rank()));
  std::string outcome = calls(communicator, data);  // warms every shape up
  if (!outcome.empty()) return outcome;
  std::thread filtered([&] {
    if (!allow_only_waiting()) {
      outcome = "no seccomp";
      return;
    }
    count_allocations(true);
    outcome = calls(communicator, data);
    count_allocations(false);
  });
  filtered.join();
  // Nobody leaves, which is news to the others, before all have finished.
  if (Status status = communicator.barrier(); !status.ok()) return std::string(status.message());
  if (outcome.empty() && allocations() != 0) return std::to_string(allocations()) + " allocations";
  return outcome;
}

class Quiet : public testing::TestWithParam<const char*> {};

TEST_P(Quiet, NoAllocationAndNoSystemCallOnceAShapeHasRun) {
  Config config = quick_config();
  config.transports = {"shm"};
  config.algorithm = GetParam();
  for (const Exit& exit : run_processes(3, config, run_filtered)) {
    if (exit.output == "no seccomp") GTEST_SKIP() << "this kernel refuses seccomp filters";
    EXPECT_EQ(exit.status, 0) << "an operation made the system call printed above";
    EXPECT_EQ(exit.output, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, Quiet,
                         testing::Values("", "all_reduce:ring,broadcast:chain",
                                         "all_reduce:halving_doubling,broadcast:binomial"),
                         [](const auto& info) { return "case" + std::to_string(info.index); });

}  // namespace
}  // namespace tutti::test
